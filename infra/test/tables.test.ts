// The DynamoDB tables and the protection of data.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { TABLE_NAMES } from '../lib/tables.ts';
import { dev, findProperties, production, propertiesOfType, resourcesOfType, synthesize } from './support.ts';

const TABLE = 'AWS::DynamoDB::Table';

test('tables are encrypted with the key of the deployment', () => {
  for (const { SSESpecification } of propertiesOfType(production, TABLE)) {
    assert.deepEqual([SSESpecification.SSEEnabled, SSESpecification.SSEType], [true, 'KMS']);
    assert.ok(SSESpecification.KMSMasterKeyId['Fn::GetAtt'][0].startsWith('MillraceKey'));
  }
});

test('tables have point-in-time recovery and are billed per request', () => {
  for (const template of [production, dev]) {
    const tables = propertiesOfType(template, TABLE);
    assert.equal(tables.length, 6);
    for (const { PointInTimeRecoverySpecification, BillingMode } of tables) {
      assert.equal(PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled, true);
      assert.equal(BillingMode, 'PAY_PER_REQUEST');
    }
  }
});

test('tables and indexes have a maximum throughput only if the settings say so', () => {
  for (const { OnDemandThroughput } of propertiesOfType(production, TABLE)) {
    assert.equal(OnDemandThroughput, undefined);
  }
  const limited = synthesize({ ...stages.production, tables: { maxReadUnits: 400, maxWriteUnits: 200 } });
  const expected = { MaxReadRequestUnits: 400, MaxWriteRequestUnits: 200 };
  for (const { OnDemandThroughput, GlobalSecondaryIndexes = [] } of propertiesOfType(limited, TABLE)) {
    assert.deepEqual(OnDemandThroughput, expected);
    for (const index of GlobalSecondaryIndexes) {
      assert.deepEqual(index.OnDemandThroughput, expected);
    }
  }
});

test('the encryption key is rotated', () => {
  const [key] = propertiesOfType(production, 'AWS::KMS::Key');
  assert.equal(key.EnableKeyRotation, true);
});

interface KeyElement {
  AttributeName: string;
  KeyType: string;
}

/** The keys, the time to live and the index of a table. */
function schemaOf(name: string): object {
  const properties = findProperties(production, TABLE, 'TableName', `millrace-production-${name}`);
  const types: Record<string, string> = Object.fromEntries(
    properties.AttributeDefinitions.map((attribute: { AttributeName: string; AttributeType: string }) => [
      attribute.AttributeName,
      attribute.AttributeType,
    ]),
  );
  const keys = (schema: KeyElement[]) =>
    schema.map(({ AttributeName, KeyType }) => `${KeyType} ${AttributeName} ${types[AttributeName]}`);
  const index = properties.GlobalSecondaryIndexes?.[0];
  return {
    keys: keys(properties.KeySchema),
    expires: properties.TimeToLiveSpecification?.AttributeName,
    index: index && [index.IndexName, ...keys(index.KeySchema), index.Projection.ProjectionType],
  };
}

test('tables have the keys that the store uses', () => {
  assert.deepEqual([...TABLE_NAMES], ['queues', 'progress', 'history', 'stats', 'rejections', 'events']);
  const player = 'HASH playerId S';
  const dueIndex = ['due', 'HASH dueShard N', 'RANGE dueAt N', 'KEYS_ONLY'];
  assert.deepEqual(TABLE_NAMES.map(schemaOf), [
    { keys: [player], expires: undefined, index: dueIndex },
    { keys: [player], expires: undefined, index: undefined },
    { keys: [player, 'RANGE finishedAt#sequence S'], expires: 'expiresAt', index: undefined },
    { keys: [player], expires: undefined, index: undefined },
    { keys: [player, 'RANGE receivedAt#entry S'], expires: 'expiresAt', index: undefined },
    { keys: [player, 'RANGE firstSequence S'], expires: 'expiresAt', index: undefined },
  ]);
});

test('only production keeps data when the stack is deleted', () => {
  for (const type of [TABLE, 'AWS::SQS::Queue', 'AWS::KMS::Key', 'AWS::Lambda::Version']) {
    for (const { DeletionPolicy, UpdateReplacePolicy } of resourcesOfType(production, type)) {
      // A resource that a failed deployment has just created is deleted: its name would block the
      // next one.
      assert.equal(DeletionPolicy, 'RetainExceptOnCreate', type);
      assert.equal(UpdateReplacePolicy, 'Retain', type);
    }
    for (const { DeletionPolicy } of resourcesOfType(dev, type)) {
      assert.ok(DeletionPolicy === 'Delete' || DeletionPolicy === undefined, `${type} ${DeletionPolicy}`);
    }
  }
});

test('only production protects tables from deletion', () => {
  for (const { DeletionProtectionEnabled } of propertiesOfType(production, TABLE)) {
    assert.equal(DeletionProtectionEnabled, true);
  }
  for (const { DeletionProtectionEnabled } of propertiesOfType(dev, TABLE)) {
    assert.equal(DeletionProtectionEnabled, false);
  }
});

test('without a key of the account the tables are encrypted with a key of AWS', () => {
  assert.deepEqual(propertiesOfType(dev, 'AWS::KMS::Key'), []);
  for (const { SSESpecification } of propertiesOfType(dev, 'AWS::DynamoDB::Table')) {
    assert.equal(SSESpecification, undefined, 'the default of DynamoDB');
  }
  for (const { PolicyDocument } of propertiesOfType(dev, 'AWS::IAM::Policy')) {
    assert.equal(JSON.stringify(PolicyDocument).includes('kms:'), false);
  }
});
