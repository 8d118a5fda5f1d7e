// The stack of the test: its settings, its synthesis and its names.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApp } from '../lib/app.ts';
import { adaptToMiniStack } from '../lib/emulator.ts';
import { type CacheSettings, NODE_CACHE, type Settings, stages } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';
import { AUDIENCE } from './issuer.ts';
import type { CacheUser } from './redis.ts';

export const STAGE = 'e2e';
export const PREFIX = `millrace-${STAGE}-`;
export const STACK_NAME = `millrace-${STAGE}`;
export const TABLES = {
  queues: `${PREFIX}queues`,
  history: `${PREFIX}history`,
  stats: `${PREFIX}stats`,
  rejections: `${PREFIX}rejections`,
};

export type CacheKind = CacheSettings['kind'];

/** The server of `serverless` is Valkey, and that of `nodes` is Redis (redis.ts). */
const CACHES: Record<CacheKind, CacheSettings> = {
  none: { kind: 'none' },
  serverless: stages.production.cache,
  nodes: { ...NODE_CACHE, engine: 'redis', engineVersion: '7.1' },
};

/**
 * The settings of production with a kind of shared cache, except for what would make the test wait
 * and for the issuer of tokens.
 */
export function e2eSettings(issuerUrl: string, kind: CacheKind): Settings {
  const { production } = stages;
  return {
    ...production,
    stage: STAGE,
    tags: { ...production.tags, stage: STAGE },
    keepData: false,
    cache: CACHES[kind],
    // The visibility time-out is six times as long, and the test waits for three deliveries.
    functions: { ...production.functions, 'process-tasks': { memoryMiB: 512, timeoutSeconds: 5 } },
    queues: {
      ...production.queues,
      commands: { maxConcurrency: 4, maxReceiveCount: 3 },
      progress: { ...production.queues.progress, maxConcurrency: 2 },
      ticks: { ...production.queues.ticks, maxConcurrency: 2 },
    },
    // The test also checks the queue that production does not have.
    events: { ...production.events, queue: true },
    api: { ...production.api, authorization: { kind: 'jwt', issuer: issuerUrl, audience: [AUDIENCE] } },
  };
}

/** Synthesizes the stack for MiniStack into a directory and returns the directory. */
export function synthesize(directory: string, codeDirectory: string, settings: Settings): string {
  // `make infra-test` runs the checks of cdk-nag.
  const app = createApp({ outdir: directory, checked: false });
  adaptToMiniStack(new MillraceStack(app, { settings, codeDirectory }));
  app.synth();
  return directory;
}

/** The users of the cache in a synthesized stack that can log in. */
export function cacheUsersOf(assembly: string): CacheUser[] {
  interface Resource {
    Type: string;
    Properties: { UserName: string; AccessString: string };
  }
  const template = JSON.parse(readFileSync(join(assembly, `${STACK_NAME}.template.json`), 'utf8')) as {
    Resources: Record<string, Resource>;
  };
  return Object.values(template.Resources)
    .filter(({ Type, Properties }) => Type === 'AWS::ElastiCache::User' && Properties.UserName !== 'default')
    .map(({ Properties }) => ({ name: Properties.UserName, accessString: Properties.AccessString }));
}
