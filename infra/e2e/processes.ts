// Programs that the test starts, each of which ends with the test.

import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const running = new Set<Program>();

// However the test ends, nothing that it started goes on.
process.on('exit', () => {
  for (const program of running) {
    program.kill();
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(1));
}

/** A server that runs until it is stopped. */
export class Program {
  private output = '';
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  constructor(
    readonly name: string,
    command: string,
    args: string[],
    environment: Record<string, string>,
  ) {
    this.child = spawn(command, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => {
        this.output += String(error);
        resolve();
      });
      this.child.once('exit', () => resolve());
    });
    void this.ended.then(() => running.delete(this));
  }

  get log(): string {
    return this.output;
  }

  get isRunning(): boolean {
    return running.has(this);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const forced = setTimeout(() => this.kill(), 5000);
    await this.ended;
    clearTimeout(forced);
  }

  async stopAtOnce(): Promise<void> {
    this.kill();
    await this.ended;
  }

  /** Until it answers. */
  async ready(answers: () => Promise<boolean>, withinMs = 30_000): Promise<void> {
    await until(
      `${this.name} answers`,
      async () => {
        if (!this.isRunning) {
          throw new Error(`${this.name} ended:\n${this.output}`);
        }
        return answers();
      },
      withinMs,
    );
  }
}

/** Runs a program to its end and gives what it wrote; one that fails is shown with it. */
export async function run(command: string, args: string[], environment?: Record<string, string>): Promise<string> {
  const child = spawn(command, args, { env: environment ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`);
  }
  return output;
}

/** Waits for something to become true. */
export async function until(what: string, holds: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new Error(`${withinMs / 1000} s passed, and it is not so that ${what}`);
    }
    await sleep(200);
  }
}

/** A port of this machine that nobody listens on. Below what outgoing connections get, so that a server that is started
 *  again finds it free. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) {
      return port;
    }
  }
}

/** The program of that name on the PATH. */
export function onPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, name))
    .find((file) => existsSync(file));
}
