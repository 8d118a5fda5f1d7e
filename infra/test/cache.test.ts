// The shared cache: encryption, users, failover and cluster mode.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { type Settings, stages } from '../lib/settings.ts';
import { dev, production, propertiesOfType, synthesize } from './support.ts';

function replicationGroup(template: Template): any {
  return propertiesOfType(template, 'AWS::ElastiCache::ReplicationGroup')[0];
}

function parameterGroup(template: Template): any {
  return propertiesOfType(template, 'AWS::ElastiCache::ParameterGroup')[0];
}

function productionWithCache(changes: Partial<Settings['cache']>): Template {
  return synthesize({ ...stages.production, cache: { ...stages.production.cache, ...changes } });
}

test('the cache is encrypted in transit and at rest', () => {
  for (const template of [production, dev]) {
    const properties = replicationGroup(template);
    assert.equal(properties.TransitEncryptionEnabled, true);
    assert.equal(properties.TransitEncryptionMode, 'required');
    assert.equal(properties.AtRestEncryptionEnabled, true);
    assert.ok(properties.KmsKeyId['Fn::GetAtt'][0].startsWith('Key'));
    assert.equal(properties.UserGroupIds.length, 1);
  }
});

test('the cache of production has two replicas, failover and snapshots', () => {
  const properties = replicationGroup(production);
  assert.equal(properties.NumCacheClusters, 3);
  assert.equal(properties.AutomaticFailoverEnabled, true);
  assert.equal(properties.MultiAZEnabled, true);
  assert.equal(properties.SnapshotRetentionLimit, 1);
});

test('a single node has no failover', () => {
  assert.equal(replicationGroup(dev).AutomaticFailoverEnabled, false);
});

test('cache users may run only their commands on the keys of the deployment', () => {
  const users = Object.fromEntries(
    propertiesOfType(production, 'AWS::ElastiCache::User').map((properties) => [properties.UserName, properties]),
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

test('a full cache evicts the least recently used key', () => {
  const { CacheParameterGroupFamily, Properties } = parameterGroup(production);
  assert.equal(CacheParameterGroupFamily, 'redis7');
  assert.equal(Properties['maxmemory-policy'], 'allkeys-lru');
});

test('cluster mode has failover with and without replicas', () => {
  for (const replicas of [0, 1]) {
    const properties = replicationGroup(productionWithCache({ shards: 2, replicas }));
    assert.equal(properties.AutomaticFailoverEnabled, true);
    assert.equal(properties.MultiAZEnabled, replicas > 0, 'only replicas are in several zones');
  }
});

const clustered = productionWithCache({ shards: 3, replicas: 1 });

test('more than one shard selects cluster mode', () => {
  const properties = replicationGroup(clustered);
  assert.deepEqual([properties.NumNodeGroups, properties.ReplicasPerNodeGroup], [3, 1]);
  assert.equal(properties.AutomaticFailoverEnabled, true);
  assert.equal(parameterGroup(clustered).Properties['cluster-enabled'], 'yes');
  for (const { Environment } of propertiesOfType(clustered, 'AWS::Lambda::Function')) {
    const { MILLRACE_REDIS_MODE, MILLRACE_REDIS_URL } = Environment.Variables;
    assert.equal(MILLRACE_REDIS_MODE, 'cluster');
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

test('Valkey has its parameter group and needs no default user', () => {
  const valkey = productionWithCache({ engine: 'valkey', engineVersion: '8.0' });
  assert.equal(parameterGroup(valkey).CacheParameterGroupFamily, 'valkey8');
  assert.equal(propertiesOfType(valkey, 'AWS::ElastiCache::User').length, 2);
});
