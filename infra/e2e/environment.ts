// Everything that the test starts before the stack is deployed: the servers and their clients.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FUNCTION_NAMES, type Settings } from '../lib/settings.ts';
import { Aws } from './aws.ts';
import { layOutFunctions } from './binaries.ts';
import { Cdk } from './cdk.ts';
import { type Certificates, createCertificates } from './certificates.ts';
import { Issuer } from './issuer.ts';
import { MiniStack } from './ministack.ts';
import { Redis } from './redis.ts';
import { findRequirements } from './requirements.ts';
import { Runbook } from './runbook.ts';
import { cacheUsersOf, e2eSettings, PREFIX, STACK_NAME, synthesize } from './stack.ts';
import { step } from './step.ts';

export interface Environment {
  /** Directory of everything that the test writes. */
  directory: string;
  certificates: Certificates;
  issuer: Issuer;
  redis: Redis;
  miniStack: MiniStack;
  cdk: Cdk;
  /** As the administrator of the account. */
  aws: Aws;
  runbook: Runbook;
  settings: Settings;
  codeDirectory: string;
  /** The synthesized stack. */
  assembly: string;
}

export async function startEnvironment(directory: string): Promise<Environment> {
  const found = findRequirements();
  const certificates = await createCertificates(found.openssl, directory);
  const issuer = await Issuer.start(certificates);
  const settings = e2eSettings(issuer.url);
  const codeDirectory = join(directory, 'functions');
  await step('functions laid out', () => layOutFunctions(found.binaries, codeDirectory, found));
  const assembly = await step('stack synthesized', async () =>
    synthesize(join(directory, 'first'), codeDirectory, settings),
  );
  const redis = await step('Redis started', () =>
    Redis.start(found.redisServer, directory, certificates, cacheUsersOf(assembly)),
  );
  const miniStack = await step('MiniStack started', () =>
    MiniStack.start(found.python, join(directory, 'ministack'), { certificates, redisPort: redis.port }),
  );
  const { endpoint } = miniStack;
  const cdk = new Cdk(endpoint, certificates.authority, directory, STACK_NAME);
  const aws = new Aws(endpoint, certificates.authority);
  const runbook = new Runbook(endpoint, certificates.authority, found.awsCli, join(directory, 'runbook'));
  return { directory, certificates, issuer, redis, miniStack, cdk, aws, runbook, settings, codeDirectory, assembly };
}

export async function stopEnvironment({ aws, issuer, miniStack, redis }: Environment): Promise<void> {
  aws.close();
  issuer.stop();
  await miniStack.stop();
  await redis.kill();
}

/** Writes the logs of MiniStack and of the functions into the directory of the test. */
export async function saveLogs({ directory, miniStack, aws }: Environment): Promise<void> {
  writeFileSync(join(directory, 'ministack.log'), miniStack.log);
  for (const name of FUNCTION_NAMES) {
    const lines = await aws.logLines(`${PREFIX}${name}`).catch((error: unknown) => [{ error: String(error) }]);
    writeFileSync(join(directory, `${name}.log`), lines.map((line) => JSON.stringify(line)).join('\n'));
  }
}
