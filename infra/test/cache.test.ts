// The kinds of the shared cache: encryption, users, failover, cluster mode and limits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { NODE_CACHE, type NodeCacheSettings, type ServerlessCacheSettings, stages } from '../lib/settings.ts';
import { dev, production, productionWithNodes, propertiesOfType, resourcesOf, synthesize } from './support.ts';

function replicationGroup(template: Template): any {
  return propertiesOfType(template, 'AWS::ElastiCache::ReplicationGroup')[0];
}

function parameterGroup(template: Template): any {
  return propertiesOfType(template, 'AWS::ElastiCache::ParameterGroup')[0];
}

function serverlessCache(template: Template): any {
  return propertiesOfType(template, 'AWS::ElastiCache::ServerlessCache')[0];
}

function productionWithNodeCache(changes: Partial<NodeCacheSettings>): Template {
  return synthesize({ ...stages.production, cache: { ...NODE_CACHE, ...changes } });
}

const redis = productionWithNodeCache({ engine: 'redis', engineVersion: '7.1' });

/** The types of the resources that only a shared cache needs. */
const TYPES_OF_CACHES = /^AWS::(ElastiCache|EC2)::/;

test('without a shared cache there is no network', () => {
  const types = Object.values(resourcesOf(dev)).map(({ Type }) => Type);
  assert.deepEqual(
    types.filter((type) => TYPES_OF_CACHES.test(type)),
    [],
  );
});

test('without a shared cache functions know none and are in no network', () => {
  for (const { Environment, VpcConfig } of propertiesOfType(dev, 'AWS::Lambda::Function')) {
    const names = Object.keys(Environment.Variables);
    assert.deepEqual(
      names.filter((name) => name.startsWith('MILLRACE_REDIS')),
      [],
    );
    assert.equal(VpcConfig, undefined);
  }
  assert.equal('CacheEndpoint' in (dev.toJSON()['Outputs'] as object), false);
});

test('without a shared cache there are no alarms on one', () => {
  const withoutCache = synthesize({ ...stages.production, cache: { kind: 'none' } });
  const names = propertiesOfType(withoutCache, 'AWS::CloudWatch::Alarm').map(({ AlarmName }) => AlarmName as string);
  assert.ok(names.length > 20);
  assert.deepEqual(
    names.filter((name) => name.includes('cache') && !name.includes('maintain-cache')),
    [],
  );
});

test('a serverless cache is encrypted with the key and has the user group', () => {
  const properties = serverlessCache(production);
  assert.equal(properties.ServerlessCacheName, 'millrace-production-cache');
  assert.deepEqual([properties.Engine, properties.MajorEngineVersion], ['valkey', '8']);
  assert.ok(properties.KmsKeyId['Fn::GetAtt'][0].startsWith('MillraceKey'));
  assert.match(JSON.stringify(properties.UserGroupId), /CacheUsersGroup/);
  assert.equal(properties.SubnetIds.length, 3);
  assert.equal(properties.SecurityGroupIds.length, 1);
});

test('a serverless cache has the limits that its settings name', () => {
  const withMaximum = (maximum: ServerlessCacheSettings['maximum']) =>
    synthesize({ ...stages.production, cache: { ...stages.production.cache, ...(maximum && { maximum }) } });
  assert.equal(serverlessCache(production).CacheUsageLimits, undefined);
  assert.deepEqual(serverlessCache(withMaximum({ storageGb: 2 })).CacheUsageLimits, {
    DataStorage: { Maximum: 2, Unit: 'GB' },
  });
  assert.deepEqual(serverlessCache(withMaximum({ ecpuPerSecond: 5000 })).CacheUsageLimits, {
    ECPUPerSecond: { Maximum: 5000 },
  });
});

test('functions reach a serverless cache with the cluster protocol and its tokens', () => {
  const functions = propertiesOfType(production, 'AWS::Lambda::Function').filter(({ VpcConfig }) => VpcConfig);
  assert.equal(functions.length, 3);
  for (const { Environment } of functions) {
    const variables = Environment.Variables;
    assert.equal(variables.MILLRACE_REDIS_MODE, 'cluster');
    assert.equal(variables.MILLRACE_REDIS_IAM_CACHE_KIND, 'serverless');
    assert.match(JSON.stringify(variables.MILLRACE_REDIS_URL), /"Endpoint.Address".*"Endpoint.Port"/);
  }
});

test('nodes are encrypted in transit and at rest', () => {
  const properties = replicationGroup(productionWithNodes);
  assert.equal(properties.TransitEncryptionEnabled, true);
  assert.equal(properties.TransitEncryptionMode, 'required');
  assert.equal(properties.AtRestEncryptionEnabled, true);
  assert.ok(properties.KmsKeyId['Fn::GetAtt'][0].startsWith('MillraceKey'));
  assert.equal(properties.UserGroupIds.length, 1);
});

test('nodes have two replicas, failover and snapshots', () => {
  const properties = replicationGroup(productionWithNodes);
  assert.equal(properties.NumCacheClusters, 3);
  assert.equal(properties.AutomaticFailoverEnabled, true);
  assert.equal(properties.MultiAZEnabled, true);
  assert.equal(properties.SnapshotRetentionLimit, 1);
});

test('a single node has no failover', () => {
  assert.equal(replicationGroup(productionWithNodeCache({ replicas: 0 })).AutomaticFailoverEnabled, false);
});

test('cache users may run only their commands on the keys of the deployment', () => {
  const users = Object.fromEntries(
    propertiesOfType(redis, 'AWS::ElastiCache::User').map((properties) => [properties.UserName, properties]),
  );
  const tasks =
    'on ~millrace-production-* resetchannels &millrace-production-thresholds -@all ' +
    '+get +getex +mget +set +getrange +del +evalsha ' +
    '+script|load +info +ping +cluster|slots +asking +zadd +zremrangebyrank +pexpire +bitfield +publish';
  const upkeep = `${tasks} +scan +unlink +pttl +dbsize +zrevrangebyscore +zremrangebyscore`;
  assert.equal(users['millrace-production-tasks'].AccessString, tasks);
  assert.equal(users['millrace-production-upkeep'].AccessString, upkeep);
  assert.match(users['default'].AccessString, /^off .*-@all$/);
  for (const name of ['millrace-production-tasks', 'millrace-production-upkeep']) {
    assert.equal(users[name].AuthenticationMode.Type, 'iam');
    assert.equal(users[name].UserId, name, 'IAM authentication requires equal ids and names');
  }
});

test('users of Valkey may also name their client library', () => {
  for (const template of [production, productionWithNodes]) {
    for (const { AccessString } of propertiesOfType(template, 'AWS::ElastiCache::User')) {
      assert.match(AccessString, / \+client\|setinfo$/);
    }
  }
});

test('a full cache evicts the least recently used key', () => {
  const { CacheParameterGroupFamily, Properties } = parameterGroup(productionWithNodes);
  assert.equal(CacheParameterGroupFamily, 'valkey8');
  assert.equal(Properties['maxmemory-policy'], 'allkeys-lru');
});

test('cluster mode has failover with and without replicas', () => {
  for (const replicas of [0, 1]) {
    const properties = replicationGroup(productionWithNodeCache({ shards: 2, replicas }));
    assert.equal(properties.AutomaticFailoverEnabled, true);
    assert.equal(properties.MultiAZEnabled, replicas > 0, 'only replicas are in several zones');
  }
});

const clustered = productionWithNodeCache({ shards: 3, replicas: 1 });

test('more than one shard selects cluster mode', () => {
  const properties = replicationGroup(clustered);
  assert.deepEqual([properties.NumNodeGroups, properties.ReplicasPerNodeGroup], [3, 1]);
  assert.equal(properties.AutomaticFailoverEnabled, true);
  assert.equal(parameterGroup(clustered).Properties['cluster-enabled'], 'yes');
  const functions = propertiesOfType(clustered, 'AWS::Lambda::Function').filter(({ VpcConfig }) => VpcConfig);
  assert.equal(functions.length, 3);
  for (const { Environment } of functions) {
    const { MILLRACE_REDIS_MODE, MILLRACE_REDIS_IAM_CACHE_KIND, MILLRACE_REDIS_URL } = Environment.Variables;
    assert.deepEqual([MILLRACE_REDIS_MODE, MILLRACE_REDIS_IAM_CACHE_KIND], ['cluster', 'nodes']);
    assert.match(JSON.stringify(MILLRACE_REDIS_URL), /ConfigurationEndPoint.Address/);
  }
});

test('each shard has its alarms', () => {
  const alarms = propertiesOfType(clustered, 'AWS::CloudWatch::Alarm').filter(({ AlarmName }) =>
    /cache-cpu/.test(AlarmName),
  );
  assert.equal(alarms.length, 3);
  assert.match(JSON.stringify(alarms[2]), /millrace-production-cache-0003-002/);
});

test('each engine has its parameter group, and only Redis needs a default user', () => {
  const users = (template: Template) => propertiesOfType(template, 'AWS::ElastiCache::User').length;
  assert.deepEqual([parameterGroup(redis).CacheParameterGroupFamily, users(redis)], ['redis7', 3]);
  assert.deepEqual(users(productionWithNodes), 2);
  const newest = productionWithNodeCache({ engineVersion: '9.1' });
  assert.deepEqual([parameterGroup(newest).CacheParameterGroupFamily, users(newest)], ['valkey9', 2]);
});
