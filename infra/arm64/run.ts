// Runs each function that was built for arm64 once, on an event, as Lambda would: `make arm64`. On a machine of another
// kind under qemu. It shows that the zip holds a binary for the right processor, with all it needs, that starts, reads
// its event and answers.

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FUNCTION_NAMES, type FunctionName } from '../lib/settings.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Where Debian has the C library of arm64. */
const SYSROOT = '/usr/aarch64-linux-gnu';
const WITHIN_MS = 60_000;

/** What each is asked, and how its answer begins to be right. */
const EVENTS: Record<FunctionName, { event: () => string; answer: (answer: Record<string, unknown>) => boolean }> = {
  'process-tasks': {
    event: () => readFileSync(join(ROOT, 'events/01-sqs-commands-fifo.json'), 'utf8'),
    answer: ({ batchItemFailures }) => Array.isArray(batchItemFailures) && batchItemFailures.length === 0,
  },
  'advance-queues': { event: () => '{}', answer: ({ report }) => report !== undefined },
  'queue-api': {
    event: () =>
      JSON.stringify({
        version: '2.0',
        routeKey: 'GET /health',
        rawPath: '/health',
        rawQueryString: '',
        headers: { host: 'localhost' },
        requestContext: {
          accountId: '123456789012',
          apiId: 'api',
          domainName: 'localhost',
          domainPrefix: 'api',
          http: { method: 'GET', path: '/health', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
          requestId: 'r-1',
          routeKey: 'GET /health',
          stage: '$default',
          time: '01/Jan/2026:00:00:00 +0000',
          timeEpoch: 1767225600000,
        },
        isBase64Encoded: false,
      }),
    answer: ({ statusCode }) => statusCode === 200,
  },
  'maintain-cache': { event: () => '{"action":"statistics"}', answer: (answer) => answer['errorType'] === undefined },
};

/** The first bytes of an ELF file for arm64. */
function isForArm64(file: string): boolean {
  const head = Buffer.alloc(20);
  const opened = openSync(file, 'r');
  readSync(opened, head, 0, head.length, 0);
  closeSync(opened);
  return head.subarray(0, 4).toString('latin1') === '\x7fELF' && head.readUInt16LE(18) === 183;
}

/** Gives the function its one event and returns what it answered. */
async function invoke(bootstrap: string, event: string, directory: string): Promise<Record<string, unknown>> {
  let answered: (answer: { failed: boolean; body: string }) => void;
  const answer = new Promise<{ failed: boolean; body: string }>((resolve) => (answered = resolve));
  const api = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.once('end', () => {
      const path = request.url ?? '';
      if (path.endsWith('/runtime/invocation/next')) {
        response.writeHead(200, {
          'lambda-runtime-aws-request-id': 'r-1',
          'lambda-runtime-deadline-ms': String(Date.now() + WITHIN_MS),
          'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:123456789012:function:function',
          'content-type': 'application/json',
        });
        // The second time it asks, it is left waiting, as by Lambda.
        response.end(event);
        return;
      }
      if (path.endsWith('/extension/register')) {
        response.writeHead(200, { 'lambda-extension-identifier': 'e-1' }).end('{}');
      } else if (path.endsWith('/extension/event/next')) {
        return;
      } else {
        response.writeHead(202).end();
        answered({ failed: !path.endsWith('/response'), body });
      }
    });
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const [command, args] = process.arch === 'arm64' ? [bootstrap, []] : ['qemu-aarch64', ['-L', SYSROOT, bootstrap]];
  const child = spawn(command, args as string[], {
    env: {
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(api.address() as AddressInfo).port}`,
      AWS_LAMBDA_FUNCTION_NAME: 'function',
      AWS_LAMBDA_FUNCTION_VERSION: '1',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/function',
      AWS_LAMBDA_LOG_STREAM_NAME: 'stream',
      AWS_REGION: 'us-east-1',
      MILLRACE_STORE: `sqlite:${join(directory, 'millrace.db')}`,
      MILLRACE_AUTH: 'none',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${bootstrap} ended with ${code}:\n${output}`)));
    setTimeout(
      () => reject(new Error(`${bootstrap} did not answer within ${WITHIN_MS / 1000} s:\n${output}`)),
      WITHIN_MS,
    ).unref();
  });
  try {
    const { failed, body } = await Promise.race([answer, ended]);
    if (failed) {
      throw new Error(`${bootstrap} failed: ${body}\n${output}`);
    }
    return JSON.parse(body) as Record<string, unknown>;
  } finally {
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
    api.close();
    api.closeAllConnections();
  }
}

const functions = process.argv[2] ?? join(ROOT, 'target/functions');
const directory = mkdtempSync(join(tmpdir(), 'millrace-arm64-'));
try {
  for (const name of FUNCTION_NAMES) {
    const bootstrap = join(functions, name, 'bootstrap');
    if (!isForArm64(bootstrap)) {
      throw new Error(`${bootstrap} is no binary for arm64`);
    }
    const { event, answer } = EVENTS[name];
    const from = Date.now();
    const got = await invoke(bootstrap, event(), directory);
    if (!answer(got)) {
      throw new Error(`${name} answered ${JSON.stringify(got)}`);
    }
    console.log(`${name}: answered after ${Date.now() - from} ms: ${JSON.stringify(got).slice(0, 100)}`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
