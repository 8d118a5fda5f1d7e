// The logical ids and the names of resources are final: AWS replaces a resource whose logical id
// changes, and another name loses what operators and clients know. The files in test/logical-ids
// have those of stages with everything.
//
// If a resource is added or removed on purpose: UPDATE_LOGICAL_IDS=1 npm test

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { NODE_CACHE, stages } from '../lib/settings.ts';
import { dev, production, resourcesOf, synthesize } from './support.ts';

/** Properties that name a resource. */
const NAMES = [
  'AlarmName',
  'BudgetName',
  'CompositeAlarmName',
  'DashboardName',
  'FunctionName',
  'LogGroupName',
  'Name',
  'QueueName',
  'ReplicationGroupId',
  'ServerlessCacheName',
  'TableName',
  'TopicName',
  'UserId',
];

const everything = synthesize({
  ...stages.production,
  cache: NODE_CACHE,
  events: { ...stages.production.events, queue: true },
  api: { ...stages.production.api, corsOrigins: ['https://game.example'] },
  alarms: { ...stages.production.alarms, warnings: [{ email: 'you@example.com' }] },
  budget: { dollarsAMonth: 100 },
});

const STAGES: Record<string, Template> = { dev, production, everything };

/** One line for each resource and each output. The ids of versions have a hash of the code. */
function idsOf(template: Template): string {
  const resources = Object.entries(resourcesOf(template)).map(([id, { Type, Properties = {} }]) => {
    const name = NAMES.map((property) => Properties[property]).find((value) => typeof value === 'string');
    const stableId = Type === 'AWS::Lambda::Version' ? id.replace(/[0-9a-f]{32}$/, '<hash>') : id;
    return [stableId, Type, ...(name === undefined ? [] : [name])].join(' ');
  });
  const outputs = Object.keys(template.toJSON()['Outputs'] as object).map((name) => `output ${name}`);
  return `${[...resources, ...outputs].toSorted().join('\n')}\n`;
}

for (const [name, template] of Object.entries(STAGES)) {
  test(`the logical ids of ${name} are those that were released`, () => {
    const file = join(import.meta.dirname, 'logical-ids', `${name}.txt`);
    const ids = idsOf(template);
    if (process.env['UPDATE_LOGICAL_IDS'] !== undefined) {
      writeFileSync(file, ids);
    }
    assert.deepEqual(ids.split('\n'), readFileSync(file, 'utf8').split('\n'));
  });
}
