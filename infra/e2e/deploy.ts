// The stack, deployed by the `cdk` of everybody.

import { chmodSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApp } from '../lib/app.ts';
import { adaptToMiniStack } from '../lib/emulator.ts';
import { FUNCTION_NAMES, type Settings, stages } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';
import { run } from './processes.ts';
import type { Requirements } from './requirements.ts';
import { AUDIENCE, type CacheUser, REGION } from './servers.ts';

export const STAGE = 'e2e';
export const PREFIX = `millrace-${STAGE}-`;
export const STACK = `millrace-${STAGE}`;

/** Production, but for what would keep a test waiting, and for who issues tokens. */
export function settings(issuer: string): Settings {
  const { production } = stages;
  return {
    ...production,
    stage: STAGE,
    tags: { ...production.tags, stage: STAGE },
    keepData: false,
    // Visibility is six times this, and three deliveries must be over while somebody waits.
    functions: { ...production.functions, 'process-tasks': { memoryMiB: 512, timeoutSeconds: 4 } },
    queues: {
      ...production.queues,
      commands: { maxConcurrency: 4, maxReceiveCount: 3 },
      progress: { ...production.queues.progress, maxConcurrency: 2 },
    },
    api: { ...production.api, authorization: { kind: 'jwt', issuer, audience: [AUDIENCE] } },
  };
}

/** Lays the binaries out as `make functions` does, without what only a debugger reads. */
export async function layOut(found: Requirements, directory: string): Promise<string> {
  for (const name of FUNCTION_NAMES) {
    const to = join(directory, name);
    mkdirSync(to, { recursive: true });
    const bootstrap = join(to, 'bootstrap');
    copyFileSync(join(found.binaries, name), bootstrap);
    await run(found.strip, [bootstrap]);
    chmodSync(bootstrap, 0o755);
  }
  return directory;
}

/** Synthesizes the stack as MiniStack takes it. */
export function synthesize(directory: string, codeDirectory: string, settings: Settings): string {
  // The checks of cdk-nag are those of `make infra-test`.
  const app = createApp({ outdir: directory, checked: false });
  adaptToMiniStack(new MillraceStack(app, { settings, codeDirectory }));
  app.synth();
  return directory;
}

/** The users of the cache that the stack declares and that can log in. */
export function cacheUsers(assembly: string): CacheUser[] {
  interface Resource {
    Type: string;
    Properties: { UserName: string; AccessString: string };
  }
  const template = JSON.parse(readFileSync(join(assembly, `${STACK}.template.json`), 'utf8')) as {
    Resources: Record<string, Resource>;
  };
  return Object.values(template.Resources)
    .filter(({ Type, Properties }) => Type === 'AWS::ElastiCache::User' && Properties.UserName !== 'default')
    .map(({ Properties }) => ({ name: Properties.UserName, accessString: Properties.AccessString }));
}

/** `cdk`, as the administrator of an account that MiniStack plays. */
export class Cdk {
  constructor(
    private readonly endpoint: string,
    private readonly authority: string,
    private readonly home: string,
  ) {}

  async bootstrap(assembly: string): Promise<void> {
    await this.cdk(['bootstrap', `aws://000000000000/${REGION}`, '--app', assembly]);
  }

  async deploy(assembly: string): Promise<void> {
    await this.cdk(['deploy', STACK, '--app', assembly, '--require-approval', 'never', '--progress', 'events']);
  }

  async destroy(assembly: string): Promise<void> {
    await this.cdk(['destroy', STACK, '--app', assembly, '--force']);
  }

  private async cdk(args: string[]): Promise<string> {
    const program = join(import.meta.dirname, '../node_modules/aws-cdk/bin/cdk');
    return run(process.execPath, [program, '--no-notices', '--no-version-reporting', ...args], {
      PATH: process.env['PATH'] ?? '',
      HOME: this.home,
      AWS_ENDPOINT_URL: this.endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_EC2_METADATA_DISABLED: 'true',
      NODE_NO_WARNINGS: '1',
      NODE_EXTRA_CA_CERTS: this.authority,
      CDK_DISABLE_CLI_TELEMETRY: 'true',
    });
  }
}
