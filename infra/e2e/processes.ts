// Starts programs, waits for them, and finds programs and processes.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const POLL_INTERVAL_MS = 200;
const STOP_TIMEOUT_MS = 5_000;

const running = new Set<Program>();

// No program outlives the test, however that ends.
process.on('exit', () => {
  for (const program of running) {
    program.kill();
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(1));
}

/** A program that runs until it is stopped. */
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

  /** Everything that the program has written. */
  get log(): string {
    return this.output;
  }

  /** Sends SIGKILL and returns at once. */
  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** Sends SIGTERM, and SIGKILL if the program does not end within 5 s. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const forced = setTimeout(() => this.kill(), STOP_TIMEOUT_MS);
    await this.ended;
    clearTimeout(forced);
  }

  /** Sends SIGKILL and waits until the program has ended. */
  async stopAtOnce(): Promise<void> {
    this.kill();
    await this.ended;
  }

  /** Waits until the program answers. Throws with its output if it ends before. */
  async waitUntilReady(answers: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const ready = async () => {
      if (!running.has(this)) {
        throw new Error(`${this.name} ended:\n${this.output}`);
      }
      return answers();
    };
    await waitUntil(`${this.name} answers`, ready, timeoutMs);
  }
}

/**
 * Runs a program to its end and returns its standard output. Throws with the whole output if it
 * fails.
 */
export async function run(command: string, args: string[], environment?: Record<string, string>): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      env: environment ?? process.env,
      maxBuffer: Number.MAX_SAFE_INTEGER,
    });
    return stdout;
  } catch (error) {
    const { message, stdout = '' } = error as Error & { stdout?: string };
    // The message already has the command and the standard error.
    throw new Error(`${message}\n${stdout}`, { cause: error });
  }
}

/** Waits for a condition. Throws with its description after the time-out. */
export async function waitUntil(
  description: string,
  condition: () => Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error(`not true after ${timeoutMs / 1000} s: ${description}`);
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

/**
 * A free port below the range of outgoing connections, so that it is still free when a server that
 * was killed starts again.
 */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 12_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) {
      return port;
    }
  }
}

/** The processes of this machine whose environment has certain variables. */
export function findProcesses(variables: Record<string, string>): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const environment = environmentOf(pid);
    return Object.entries(variables).every(([name, value]) => environment.includes(`${name}=${value}`));
  });
}

/** Lines `name=value`. Empty if the process has ended or belongs to another user. */
function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** The path of a program on the PATH. */
export function findOnPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, name))
    .find((file) => existsSync(file));
}
