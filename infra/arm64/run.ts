// `make arm64`: invokes each function that was built for arm64 once, as Lambda would. It shows that
// the binary is for the right processor, has the libraries it needs, starts, and answers its event
// with DynamoDB as the store. On a machine with another processor the functions run under qemu.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arm64Command, isForArm64 } from '../e2e/binaries.ts';
import { ADMINISTRATOR, MiniStack, REGION } from '../e2e/ministack.ts';
import { Program } from '../e2e/processes.ts';
import { Finder, ROOT } from '../e2e/requirements.ts';
import { FUNCTION_NAMES, type FunctionName } from '../lib/settings.ts';
import { invocations } from './invocations.ts';
import { RuntimeApi } from './runtime-api.ts';
import { createTables, TABLE_PREFIX } from './tables.ts';

const TIMEOUT_MS = 60_000;

const binDirectory = process.argv[2] ?? join(ROOT, 'target/functions');
const finder = new Finder();
const python = finder.findMiniStack();
const qemu = process.arch === 'arm64' ? undefined : finder.findQemu();
const binaries = FUNCTION_NAMES.flatMap((name) => finder.findFunction(binDirectory, name));
finder.throwIfMissing();

const directory = mkdtempSync(join(tmpdir(), 'millrace-arm64-'));
try {
  const miniStack = await MiniStack.start(python, directory);
  await createTables(miniStack.endpoint);
  for (const { name, file } of binaries) {
    if (!isForArm64(file)) {
      throw new Error(`${file} is not a binary for arm64`);
    }
    await check(name, file, miniStack.endpoint);
  }
  await miniStack.stop();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);

async function check(name: FunctionName, file: string, awsEndpoint: string): Promise<void> {
  const { payload, isExpected } = invocations[name];
  const started = Date.now();
  const runtimeApi = await RuntimeApi.start(payload, TIMEOUT_MS);
  const [command, ...args] = arm64Command(file, qemu);
  const program = new Program(name, command, args, environmentOf(runtimeApi, awsEndpoint));
  try {
    await program.waitUntilReady(async () => runtimeApi.response !== undefined, TIMEOUT_MS);
  } finally {
    await program.stopAtOnce();
    runtimeApi.stop();
  }
  const { isError, body } = runtimeApi.response ?? { isError: true, body: '' };
  if (isError || !isExpected(JSON.parse(body) as Record<string, unknown>)) {
    throw new Error(`${name} answered ${body}\n${program.log}`);
  }
  console.log(`${name}: answered after ${Date.now() - started} ms: ${body.slice(0, 100)}`);
}

function environmentOf(runtimeApi: RuntimeApi, awsEndpoint: string): Record<string, string> {
  return {
    AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${runtimeApi.port}`,
    AWS_LAMBDA_FUNCTION_NAME: 'function',
    AWS_LAMBDA_FUNCTION_VERSION: '1',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
    AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/function',
    AWS_LAMBDA_LOG_STREAM_NAME: 'stream',
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
    AWS_ENDPOINT_URL: awsEndpoint,
    MILLRACE_STORE: 'dynamodb',
    MILLRACE_TABLE_PREFIX: TABLE_PREFIX,
    MILLRACE_AUTH: 'none',
  };
}
