// Who is notified, the alarms of other kinds of stages, and the budget.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { isSmall } from '../lib/alarms/cache-alarms.ts';
import { type CacheSettings, NODE_CACHE, type Settings, stages } from '../lib/settings.ts';
import {
  dev,
  findProperties,
  type IamStatement,
  production,
  productionWithNodes,
  propertiesOfType,
  synthesize,
} from './support.ts';

const { alarms } = stages.production;

function alarmsOf(template: Template): Record<string, any> {
  const all = propertiesOfType(template, 'AWS::CloudWatch::Alarm');
  return Object.fromEntries(all.map((alarm) => [alarm.AlarmName.replace(/^millrace-[a-z]+-/, ''), alarm]));
}

function productionWith(changes: Partial<Settings>): Template {
  return synthesize({ ...stages.production, ...changes });
}

function alarmsWithCache(cache: CacheSettings): Record<string, any> {
  return alarmsOf(productionWith({ cache }));
}

test('basic monitoring has five alarms, and neither metrics with a price nor a dashboard', () => {
  const expected = [
    'api-errors',
    'commands-dead-letters',
    'process-tasks-errors',
    'progress-dead-letters',
    'undelivered',
  ];
  assert.deepEqual(Object.keys(alarmsOf(dev)).toSorted(), expected);
  for (const alarm of Object.values(alarmsOf(dev))) {
    assert.match(JSON.stringify(alarm.AlarmActions), /NotificationsWarnings/);
    assert.match(alarm.Namespace, /^AWS\//);
  }
  for (const type of ['AWS::CloudWatch::Dashboard', 'AWS::CloudWatch::CompositeAlarm']) {
    assert.deepEqual(propertiesOfType(dev, type), []);
  }
  for (const { Environment } of propertiesOfType(dev, 'AWS::Lambda::Function')) {
    assert.equal(Environment.Variables.MILLRACE_METRICS, 'log');
  }
});

test('each topic has its subscribers', () => {
  const template = productionWith({
    alarms: { ...alarms, pages: [{ url: 'https://pager.example/key' }], warnings: [{ email: 'you@example.com' }] },
    cache: NODE_CACHE,
  });
  const subscriptions = propertiesOfType(template, 'AWS::SNS::Subscription').map(({ Protocol, Endpoint, TopicArn }) => [
    /Notifications([A-Za-z]+?)[0-9A-F]{8}/.exec(TopicArn.Ref)?.[1],
    Protocol,
    Endpoint,
  ]);
  assert.deepEqual(subscriptions.toSorted(), [
    ['CacheEvents', 'email', 'you@example.com'],
    ['Pages', 'https', 'https://pager.example/key'],
    ['Warnings', 'email', 'you@example.com'],
  ]);
});

test('the topics of alarms are encrypted with a key that CloudWatch may use', () => {
  for (const name of ['pages', 'warnings']) {
    const topic = findProperties(production, 'AWS::SNS::Topic', 'TopicName', `millrace-production-${name}`);
    assert.ok(topic.KmsMasterKeyId, name);
  }
  const [key] = propertiesOfType(production, 'AWS::KMS::Key');
  const statement = key.KeyPolicy.Statement.find(({ Sid }: IamStatement) => Sid === 'AlarmsToTopics');
  assert.deepEqual(statement.Principal, { Service: 'cloudwatch.amazonaws.com' });
});

test('only alarms of the stage may publish to the topics', () => {
  const policies = propertiesOfType(production, 'AWS::SNS::TopicPolicy');
  assert.equal(policies.length, 2);
  for (const policy of policies) {
    const allowed = policy.PolicyDocument.Statement.filter(({ Effect }: IamStatement) => Effect === 'Allow');
    assert.equal(allowed.length, 1);
    const { Principal, Action, Condition } = allowed[0] as IamStatement;
    assert.deepEqual([Principal, Action], [{ Service: 'cloudwatch.amazonaws.com' }, 'sns:Publish']);
    assert.deepEqual(Condition.StringEquals, { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } });
    // The prefix includes the composite alarm.
    const arn = JSON.stringify(Condition.ArnLike['aws:SourceArn']);
    assert.match(arn, /:cloudwatch:/);
    assert.match(arn, /:alarm:millrace-production-\*"/);
  }
});

test('ElastiCache notifies of failovers on a topic that it accepts', () => {
  const topic = findProperties(productionWithNodes, 'AWS::SNS::Topic', 'TopicName', 'millrace-production-cache-events');
  assert.equal(topic.KmsMasterKeyId, undefined, 'it publishes to no encrypted topic');
  const [group] = propertiesOfType(productionWithNodes, 'AWS::ElastiCache::ReplicationGroup');
  assert.match(JSON.stringify(group.NotificationTopicArn), /NotificationsCacheEvents/);
  const policies = JSON.stringify(propertiesOfType(productionWithNodes, 'AWS::SNS::TopicPolicy'));
  assert.ok(policies.includes('"StringEquals":{"AWS:SourceOwner":{"Ref":"AWS::AccountId"}}'));
});

test('the CPU alarm fits the node type', () => {
  const cpuAlarm = (nodeType: string) => {
    const { Metrics, Threshold } = alarmsWithCache({ ...NODE_CACHE, nodeType })['cache-cpu'];
    return [Metrics.find(({ MetricStat }: any) => MetricStat).MetricStat.Metric.MetricName, Threshold];
  };
  assert.deepEqual(cpuAlarm('cache.m7g.large'), ['CPUUtilization', 45]);
  assert.deepEqual(cpuAlarm('cache.r7g.xlarge'), ['EngineCPUUtilization', 75]);
  assert.ok(['cache.t4g.micro', 'cache.t4g.small', 'cache.t3.medium', 'cache.r7g.large'].every(isSmall));
  assert.equal(isSmall('cache.r6g.16xlarge'), false);
});

test('only burstable nodes have an alarm on their CPU credits', () => {
  assert.equal('cache-cpu-credits' in alarmsOf(productionWithNodes), false);
  const burstable = alarmsWithCache({ ...NODE_CACHE, nodeType: 'cache.t4g.small' });
  assert.equal(burstable['cache-cpu-credits'].Threshold, 20);
});

test('a serverless cache has alarms on throttling, failed logins and its limits', () => {
  const namesOf = (found: Record<string, any>) =>
    Object.values(found)
      .filter(({ Namespace }) => Namespace === 'AWS/ElastiCache')
      .map(({ MetricName, Threshold, Dimensions }) => {
        assert.deepEqual(Dimensions, [{ Name: 'clusterId', Value: 'millrace-production-cache' }]);
        return [MetricName, Threshold];
      });
  const unlimited = [
    ['ThrottledCmds', 0],
    ['AuthenticationFailures', 10],
  ];
  assert.deepEqual(namesOf(alarmsOf(production)), unlimited);
  const maximum = { storageGb: 5, ecpuPerSecond: 1000 };
  assert.deepEqual(namesOf(alarmsWithCache({ kind: 'serverless', engineVersion: '8', maximum })), [
    ...unlimited,
    ['BytesUsedForCache', 4e9],
    ['ElastiCacheProcessingUnits', 48_000],
  ]);
});

test('there are no alarms on queues and tables that are always empty', () => {
  const found = Object.keys(
    alarmsOf(productionWith({ ticks: 'direct', events: { ...stages.production.events, bus: false, table: false } })),
  );
  for (const name of ['ticks-age', 'ticks-dead-letters', 'events-table-errors', 'events-failed']) {
    assert.equal(found.includes(name), false, name);
  }
});

test('a budget tells the addresses of warnings', () => {
  const warnings = [{ email: 'you@example.com' }, { url: 'https://chat.example' }];
  const template = productionWith({ alarms: { ...alarms, warnings }, budget: { dollarsAMonth: 200 } });
  const [{ Budget, NotificationsWithSubscribers }] = propertiesOfType(template, 'AWS::Budgets::Budget');
  assert.deepEqual(Budget.BudgetLimit, { Amount: 200, Unit: 'USD' });
  for (const { Subscribers } of NotificationsWithSubscribers) {
    assert.deepEqual(Subscribers, [{ SubscriptionType: 'EMAIL', Address: 'you@example.com' }]);
  }
  assert.deepEqual(propertiesOfType(production, 'AWS::Budgets::Budget'), []);
});
