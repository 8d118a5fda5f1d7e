// Tables, queues and the cache: what would hurt if it were lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { all, dev, one, production, template } from './support.ts';

const TABLES = ['queues', 'progress', 'history', 'stats', 'rejections'];
const QUEUES = ['commands', 'progress', 'ticks'];

test('tables are encrypted with the own key, restorable to any second, and paid by use', () => {
  for (const stage of [production, dev]) {
    const tables = all(stage, 'AWS::DynamoDB::Table');
    assert.equal(tables.length, TABLES.length);
    for (const { Properties } of tables) {
      assert.deepEqual([Properties.SSESpecification.SSEEnabled, Properties.SSESpecification.SSEType], [true, 'KMS']);
      assert.ok(Properties.SSESpecification.KMSMasterKeyId['Fn::GetAtt'][0].startsWith('Key'));
      assert.equal(Properties.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled, true);
      assert.equal(Properties.BillingMode, 'PAY_PER_REQUEST');
    }
  }
  assert.equal(all(production, 'AWS::KMS::Key')[0]?.Properties.EnableKeyRotation, true);
});

test('tables have the keys that the store reads and writes by', () => {
  const shape = (name: string) => {
    const { Properties } = one(production, 'AWS::DynamoDB::Table', 'TableName', `millrace-production-${name}`);
    const types = Object.fromEntries(
      Properties.AttributeDefinitions.map((a: { AttributeName: string; AttributeType: string }) => [
        a.AttributeName,
        a.AttributeType,
      ]),
    );
    const keys = (schema: { AttributeName: string; KeyType: string }[]) =>
      schema.map(({ AttributeName, KeyType }) => `${KeyType} ${AttributeName} ${types[AttributeName]}`);
    const index = Properties.GlobalSecondaryIndexes?.[0];
    return {
      keys: keys(Properties.KeySchema),
      expires: Properties.TimeToLiveSpecification?.AttributeName,
      index: index && [index.IndexName, ...keys(index.KeySchema), index.Projection.ProjectionType],
    };
  };
  const player = 'HASH playerId S';
  assert.deepEqual(TABLES.map(shape), [
    { keys: [player], expires: undefined, index: ['due', 'HASH dueShard N', 'RANGE dueAt N', 'KEYS_ONLY'] },
    { keys: [player], expires: undefined, index: undefined },
    { keys: [player, 'RANGE finishedAt#taskId S'], expires: 'expiresAt', index: undefined },
    { keys: [player], expires: undefined, index: undefined },
    { keys: [player, 'RANGE receivedAt#commandId S'], expires: 'expiresAt', index: undefined },
  ]);
});

test('in production data outlives the stack, and tables refuse to be deleted', () => {
  for (const type of ['AWS::DynamoDB::Table', 'AWS::SQS::Queue', 'AWS::KMS::Key', 'AWS::Lambda::Version']) {
    for (const { DeletionPolicy, UpdateReplacePolicy } of all(production, type)) {
      // A resource that a failed deployment has just made is deleted with it: its name would be in the way of the next one.
      assert.equal(DeletionPolicy, 'RetainExceptOnCreate', type);
      assert.equal(UpdateReplacePolicy, 'Retain', type);
    }
    for (const { DeletionPolicy } of all(dev, type)) {
      assert.ok(DeletionPolicy === 'Delete' || DeletionPolicy === undefined, `${type} ${DeletionPolicy}`);
    }
  }
  for (const [stage, protectedFromDeletion] of [
    [production, true],
    [dev, false],
  ] as const) {
    for (const { Properties } of all(stage, 'AWS::DynamoDB::Table')) {
      assert.equal(Properties.DeletionProtectionEnabled, protectedFromDeletion);
    }
  }
});

test('each queue is encrypted, keeps messages for 14 days (ticks for an hour), and sets aside what keeps failing', () => {
  for (const name of QUEUES) {
    const suffix = name === 'commands' ? '.fifo' : '';
    const { Properties: queue } = one(
      production,
      'AWS::SQS::Queue',
      'QueueName',
      `millrace-production-${name}${suffix}`,
    );
    const deadLetters = queue.RedrivePolicy.deadLetterTargetArn['Fn::GetAtt'][0];
    const { Properties: dead } = one(
      production,
      'AWS::SQS::Queue',
      'QueueName',
      `millrace-production-${name}-dead-letters${suffix}`,
    );
    assert.ok(deadLetters.startsWith(`Queues${name}deadletters`), deadLetters);
    assert.equal(queue.RedrivePolicy.maxReceiveCount, stages.production.queues[name as 'commands'].maxReceiveCount);
    for (const one of [queue, dead]) {
      assert.equal(one.SqsManagedSseEnabled, true);
      const ticks = name === 'ticks' && one === queue;
      assert.equal(one.MessageRetentionPeriod, ticks ? 3_600 : 14 * 86_400);
    }
    assert.equal(queue.VisibilityTimeout, 6 * stages.production.functions['process-tasks'].timeoutSeconds);
  }
  // Every queue refuses what does not come over TLS.
  const policies = all(production, 'AWS::SQS::QueuePolicy');
  assert.equal(policies.length, 7);
  for (const { Properties } of policies) {
    const denied = Properties.PolicyDocument.Statement.filter((s: { Effect: string }) => s.Effect === 'Deny');
    assert.deepEqual(denied[0].Condition, { Bool: { 'aws:SecureTransport': 'false' } });
  }
});

test('commands keep the order of their player, and no two equal ones are taken for one', () => {
  const { Properties } = one(production, 'AWS::SQS::Queue', 'QueueName', 'millrace-production-commands.fifo');
  const { FifoQueue, FifoThroughputLimit, DeduplicationScope, ContentBasedDeduplication } = Properties;
  assert.deepEqual(
    [FifoQueue, FifoThroughputLimit, DeduplicationScope, ContentBasedDeduplication],
    [true, 'perMessageGroupId', 'messageGroup', false],
  );
});

const group = (stage: typeof production) => all(stage, 'AWS::ElastiCache::ReplicationGroup')[0]?.Properties;

test('the cache is encrypted on the wire and at rest, and one of two replicas takes over', () => {
  const properties = group(production);
  assert.equal(properties.NumCacheClusters, 3);
  assert.equal(properties.AutomaticFailoverEnabled, true);
  assert.equal(properties.MultiAZEnabled, true);
  for (const stage of [production, dev]) {
    const properties = group(stage);
    assert.equal(properties.TransitEncryptionEnabled, true);
    assert.equal(properties.TransitEncryptionMode, 'required');
    assert.equal(properties.AtRestEncryptionEnabled, true);
    assert.ok(properties.KmsKeyId['Fn::GetAtt'][0].startsWith('Key'));
    assert.equal(properties.UserGroupIds.length, 1);
  }
  assert.equal(properties.SnapshotRetentionLimit, 1);
});

test('a user of the cache does its work, on its keys, and nothing else', () => {
  const users = Object.fromEntries(
    all(production, 'AWS::ElastiCache::User').map(({ Properties }) => [Properties.UserName, Properties]),
  );
  const tasks =
    'on ~millrace-production-* resetchannels -@all +get +mget +set +getrange +del +evalsha +eval +script|load +info +ping +cluster|slots +asking +zadd +zremrangebyrank +pexpire +lpush +ltrim';
  assert.equal(users['millrace-production-tasks'].AccessString, tasks);
  assert.equal(
    users['millrace-production-upkeep'].AccessString,
    `${tasks} +scan +unlink +pttl +dbsize +zrevrange +zrevrangebyscore +zremrangebyscore +lrange`,
  );
  assert.match(users['default'].AccessString, /^off .*-@all$/);
  for (const name of ['millrace-production-tasks', 'millrace-production-upkeep']) {
    assert.equal(users[name].AuthenticationMode.Type, 'iam');
    assert.equal(users[name].UserId, name, 'IAM wants both to be the same');
  }
});

test('a full cache forgets what was not asked for longest', () => {
  const [parameters] = all(production, 'AWS::ElastiCache::ParameterGroup');
  assert.equal(parameters?.Properties.CacheParameterGroupFamily, 'redis7');
  assert.equal(parameters?.Properties.Properties['maxmemory-policy'], 'allkeys-lru');
});

test('cluster mode takes over by itself, as AWS demands, with replicas or without', () => {
  for (const replicas of [0, 1]) {
    const properties = group(
      template({ ...stages.production, cache: { ...stages.production.cache, shards: 2, replicas } }),
    );
    assert.equal(properties.AutomaticFailoverEnabled, true);
    assert.equal(properties.MultiAZEnabled, replicas > 0, 'several zones are for replicas');
  }
  assert.equal(group(dev).AutomaticFailoverEnabled, false, 'there is nobody to take over');
});

test('cluster mode and Valkey are a setting away', () => {
  const settings = { ...stages.production, cache: { ...stages.production.cache, shards: 3, replicas: 1 } };
  const clustered = template(settings);
  const properties = group(clustered);
  assert.deepEqual([properties.NumNodeGroups, properties.ReplicasPerNodeGroup], [3, 1]);
  assert.equal(properties.AutomaticFailoverEnabled, true);
  assert.equal(all(clustered, 'AWS::ElastiCache::ParameterGroup')[0]?.Properties.Properties['cluster-enabled'], 'yes');
  for (const { Properties } of all(clustered, 'AWS::Lambda::Function')) {
    const { MILLRACE_REDIS_MODE, MILLRACE_REDIS_URL } = Properties.Environment.Variables;
    assert.equal(MILLRACE_REDIS_MODE, 'cluster');
    assert.match(JSON.stringify(MILLRACE_REDIS_URL), /ConfigurationEndPoint.Address/);
  }
  const nodes = all(clustered, 'AWS::CloudWatch::Alarm').filter(({ Properties }) =>
    /cache-cpu/.test(Properties.AlarmName),
  );
  assert.equal(nodes.length, 3, 'an alarm a shard');
  assert.match(JSON.stringify(nodes[2]), /millrace-production-cache-0003-002/);

  const valkey = { engine: 'valkey' as const, engineVersion: '8.0' };
  const other = template({ ...stages.production, cache: { ...stages.production.cache, ...valkey } });
  assert.equal(all(other, 'AWS::ElastiCache::ParameterGroup')[0]?.Properties.CacheParameterGroupFamily, 'valkey8');
  assert.equal(all(other, 'AWS::ElastiCache::User').length, 2, 'Valkey needs no user named default');
});
