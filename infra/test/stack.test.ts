// The stack as a whole: tags, outputs and protection.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { production, propertiesOfType, synthesizeStack } from './support.ts';

test('resources have the tags of the stage', () => {
  const types = [
    'AWS::DynamoDB::Table',
    'AWS::Lambda::Function',
    'AWS::SQS::Queue',
    'AWS::ElastiCache::ServerlessCache',
  ];
  for (const type of types) {
    for (const { Tags } of propertiesOfType(production, type)) {
      const tags = Object.fromEntries(Tags.map((tag: { Key: string; Value: string }) => [tag.Key, tag.Value]));
      assert.deepEqual(tags, { application: 'millrace', stage: 'production' }, type);
    }
  }
});

test('the outputs name what senders and operators use', () => {
  const outputs = Object.keys(production.toJSON()['Outputs'] as object);
  const expected = [
    'ApiUrl',
    'CommandsQueueUrl',
    'ProgressQueueUrl',
    'BusName',
    'CommandsDeadLettersUrl',
    'UndeliveredUrl',
    'PagesTopicArn',
    'WarningsTopicArn',
  ];
  for (const name of expected) {
    assert.ok(outputs.includes(name), name);
  }
});

test('only the stack of production is protected from deletion', () => {
  assert.equal(synthesizeStack(stages.production).terminationProtection, true);
  assert.equal(synthesizeStack(stages.dev).terminationProtection, false);
});
