// The stack as a whole: tags, outputs and protection.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { production, propertiesOfType, resourcesOf, synthesize, synthesizeStack } from './support.ts';

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
    'KeyArn',
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

test('what is kept has no name that blocks the next deployment, except tables, which can be adopted', () => {
  const kept = Object.values(resourcesOf(production)).filter(({ DeletionPolicy }) =>
    ['Retain', 'RetainExceptOnCreate'].includes(DeletionPolicy ?? ''),
  );
  const types = [...new Set(kept.map(({ Type }) => Type))].toSorted();
  assert.deepEqual(types, ['AWS::DynamoDB::Table', 'AWS::KMS::Key', 'AWS::Lambda::Version', 'AWS::SQS::Queue']);
  for (const { Type, Properties } of kept) {
    // CloudFormation adopts a resource whose name is in the template.
    assert.equal(typeof Properties.TableName === 'string', Type === 'AWS::DynamoDB::Table', Type);
    assert.equal(Properties.QueueName, undefined);
  }
});

test('a key that was kept is used again, and none is created', () => {
  const keyArn = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const template = synthesize({ ...stages.production, keyArn });
  assert.deepEqual(propertiesOfType(template, 'AWS::KMS::Key'), []);
  for (const { SSESpecification } of propertiesOfType(template, 'AWS::DynamoDB::Table')) {
    assert.equal(SSESpecification.KMSMasterKeyId, keyArn);
  }
  for (const { PolicyDocument } of propertiesOfType(template, 'AWS::IAM::Policy')) {
    const text = JSON.stringify(PolicyDocument);
    assert.equal(text.includes('kms:Decrypt'), text.includes(keyArn));
  }
});
