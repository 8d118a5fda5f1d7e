// The kinds of stages that are not in settings.ts: cdk-nag accepts them too. `make infra-test`
// checks dev and production.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createApp } from '../lib/app.ts';
import { NODE_CACHE, type Settings, stages } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';
import { codeDirectory } from './support.ts';

const { production } = stages;
const processTasks = { ...production.functions['process-tasks'], memoryMiB: 2048 };

const KINDS: Settings[] = [
  { ...production, stage: 'nodes', cache: NODE_CACHE },
  { ...production, stage: 'onenode', cache: { ...NODE_CACHE, engine: 'redis', engineVersion: '7.1', replicas: 0 } },
  { ...production, stage: 'direct', ticks: 'direct', events: { ...production.events, queue: true } },
  {
    ...production,
    stage: 'instances',
    managedInstances: { maxVcpus: 12, memoryGiBPerVcpu: 2, concurrency: 8 },
    functions: { ...production.functions, 'process-tasks': processTasks },
    deployment: 'all-at-once',
  },
];

test('cdk-nag accepts the other kinds of stages', () => {
  const outdir = mkdtempSync(join(tmpdir(), 'millrace-kinds-'));
  const app = createApp({ outdir });
  for (const settings of KINDS) {
    new MillraceStack(app, { settings, codeDirectory });
  }
  // Throws on every finding that the code does not acknowledge.
  app.synth();
  const templates = readdirSync(outdir).filter((name) => name.endsWith('.template.json'));
  assert.equal(templates.length, KINDS.length);
  rmSync(outdir, { recursive: true });
});
