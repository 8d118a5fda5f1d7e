// The stack for MiniStack differs from the stack for AWS only where MiniStack requires it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UNSUPPORTED_TYPES } from '../lib/emulator.ts';
import { NODE_CACHE, stages } from '../lib/settings.ts';
import { production, productionWithNodes, resourcesOf, synthesizeForMiniStack } from './support.ts';

const real = resourcesOf(productionWithNodes);
const emulated = resourcesOf(synthesizeForMiniStack({ ...stages.production, cache: NODE_CACHE }));
const changed = Object.entries(real).filter(
  ([id, resource]) => JSON.stringify(emulated[id]) !== JSON.stringify(resource),
);

test('the emulated stack has the same resources', () => {
  assert.deepEqual(Object.keys(emulated), Object.keys(real));
});

test('only certain resources differ', () => {
  const counts: Record<string, number> = {};
  for (const [, { Type }] of changed) {
    counts[Type] = (counts[Type] ?? 0) + 1;
  }
  assert.deepEqual(counts, {
    'AWS::CloudWatch::Alarm': 31,
    'AWS::CloudWatch::CompositeAlarm': 1,
    'AWS::CodeDeploy::Application': 1,
    'AWS::CodeDeploy::DeploymentGroup': 4,
    'AWS::EC2::FlowLog': 1,
    'AWS::EC2::SecurityGroupEgress': 1,
    'AWS::EC2::SecurityGroupIngress': 2,
    'AWS::IAM::Policy': 4,
    'AWS::Lambda::Alias': 4,
  });
});

test('only unsupported types are replaced', () => {
  for (const [id, { Type }] of changed) {
    const isUnsupported = UNSUPPORTED_TYPES.includes(Type);
    assert.equal(emulated[id]?.Type, isUnsupported ? 'AWS::CloudFormation::WaitConditionHandle' : Type, id);
  }
});

test('policies differ only by the names of batch calls', () => {
  for (const [id, resource] of changed.filter(([, { Type }]) => Type === 'AWS::IAM::Policy')) {
    const text = JSON.stringify(emulated[id])
      .replace('"dynamodb:BatchExecuteStatement",', '')
      .replace('"sqs:SendMessageBatch",', '');
    assert.equal(text, JSON.stringify(resource), id);
  }
});

test('a serverless cache becomes a replication group that functions find by its endpoint', () => {
  const realServerless = resourcesOf(production);
  const emulatedServerless = resourcesOf(synthesizeForMiniStack(stages.production));
  const [id] =
    Object.entries(realServerless).find(([, { Type }]) => Type === 'AWS::ElastiCache::ServerlessCache') ?? [];
  const group = emulatedServerless[id ?? ''];
  assert.equal(group?.Type, 'AWS::ElastiCache::ReplicationGroup');
  assert.equal(group.Properties.ReplicationGroupId, 'millrace-production-cache');
  for (const [functionId, resource] of Object.entries(realServerless)) {
    if (resource.Type === 'AWS::Lambda::Function') {
      const expected = JSON.stringify(resource).replaceAll('"Endpoint.', '"PrimaryEndPoint.');
      assert.equal(JSON.stringify(emulatedServerless[functionId]), expected, functionId);
    }
  }
});
