// Everything that the test starts before a stack is deployed: the servers and their clients.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FUNCTION_NAMES, type Settings } from '../lib/settings.ts';
import { Aws } from './aws.ts';
import { layOutFunctions } from './binaries.ts';
import { Cdk } from './cdk.ts';
import { type Certificates, createCertificates } from './certificates.ts';
import { Issuer } from './issuer.ts';
import { MiniStack } from './ministack.ts';
import { findFreePort } from './processes.ts';
import { Redis } from './redis.ts';
import { findRequirements, type Requirements } from './requirements.ts';
import { Runbook } from './runbook.ts';
import { type CacheKind, cacheUsersOf, e2eSettings, PREFIX, STACK_NAME, synthesize } from './stack.ts';
import { step } from './step.ts';

/** What all stacks of the test share. */
export interface Servers {
  /** Directory of everything that the test writes. */
  directory: string;
  programs: Requirements;
  certificates: Certificates;
  issuer: Issuer;
  /** Every cache of a stack is the server on this port. */
  redisPort: number;
  miniStack: MiniStack;
  cdk: Cdk;
  /** As the administrator of the account. */
  aws: Aws;
  runbook: Runbook;
  codeDirectory: string;
}

export interface Environment extends Servers {
  settings: Settings;
  /** The synthesized stack. */
  assembly: string;
  /** Unset: the stack has no shared cache. */
  redis: Redis | undefined;
}

/** Starts what all stacks of the test share. */
export async function startServers(directory: string): Promise<Servers> {
  const programs = findRequirements();
  const certificates = await createCertificates(programs.openssl, directory);
  const issuer = await Issuer.start(certificates);
  const codeDirectory = join(directory, 'functions');
  await step('functions laid out', () => layOutFunctions(programs.binaries, codeDirectory, programs));
  const redisPort = await findFreePort();
  const miniStack = await step('MiniStack started', () =>
    MiniStack.start(programs.python, join(directory, 'ministack'), { certificates, redisPort }),
  );
  const { endpoint } = miniStack;
  const cdk = new Cdk(endpoint, certificates.authority, directory, STACK_NAME);
  const aws = new Aws(endpoint, certificates.authority);
  const runbook = new Runbook(endpoint, certificates.authority, programs.awsCli, join(directory, 'runbook'));
  return { directory, programs, certificates, issuer, redisPort, miniStack, cdk, aws, runbook, codeDirectory };
}

/** Synthesizes the stack with a kind of shared cache, and starts the server of the cache. */
export async function prepareStack(servers: Servers, kind: CacheKind): Promise<Environment> {
  const settings = e2eSettings(servers.issuer.url, kind);
  const assembly = await step('stack synthesized', async () =>
    synthesize(join(servers.directory, kind), servers.codeDirectory, settings),
  );
  const redis = kind === 'none' ? undefined : await step('cache started', () => startCache(servers, kind, assembly));
  return { ...servers, redis, settings, assembly };
}

async function startCache(servers: Servers, kind: CacheKind, assembly: string): Promise<Redis> {
  return Redis.start({
    programs: servers.programs,
    directory: join(servers.directory, `${kind}-cache`),
    certificates: servers.certificates,
    users: cacheUsersOf(assembly),
    port: servers.redisPort,
    isCluster: kind === 'serverless',
  });
}

/** The shared cache of a stack that has one. */
export function redisOf({ redis }: Environment): Redis {
  assert.ok(redis !== undefined, 'the stack has a shared cache');
  return redis;
}

export async function stopServers({ aws, issuer, miniStack }: Servers): Promise<void> {
  aws.close();
  issuer.stop();
  await miniStack.stop();
}

/** Writes the logs of MiniStack and of the functions into the directory of the test. */
export async function saveLogs({ directory, miniStack, aws }: Servers): Promise<void> {
  writeFileSync(join(directory, 'ministack.log'), miniStack.log);
  for (const name of FUNCTION_NAMES) {
    const lines = await aws.logLines(`${PREFIX}${name}`).catch((error: unknown) => [{ error: String(error) }]);
    writeFileSync(join(directory, `${name}.log`), lines.map((line) => JSON.stringify(line)).join('\n'));
  }
}
