// Alarms: when each rings, what it says, and where to read on.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RUNBOOK } from '../lib/alarms.ts';
import { METRICS } from '../lib/metrics.ts';
import { all, dev, one, production, resources } from './support.ts';

const alarms = Object.fromEntries(
  all(production, 'AWS::CloudWatch::Alarm').map(({ Properties }) => [
    (Properties.AlarmName as string).replace('millrace-production-', ''),
    Properties,
  ]),
);

/** Comparison, threshold, and in how many periods of how many. */
const THRESHOLDS: Record<string, [string, number, number, number]> = {
  'process-tasks-new-version-errors': ['>', 0, 1, 1],
  'process-tasks-new-version-failures': ['>', 2, 1, 1],
  'queue-api-new-version-errors': ['>', 0, 1, 1],
  'queue-api-new-version-failures': ['>', 2, 1, 1],
  'cache-cpu': ['>', 75, 4, 5],
  'cache-memory': ['>', 85, 5, 5],
  'cache-evictions': ['>', 1000, 4, 5],
  'cache-connections': ['>', 10_000, 5, 5],
  'cache-replication-lag': ['>', 10, 5, 5],
  'cache-hit-rate': ['<', 0.8, 3, 3],
  'process-tasks-errors': ['>=', 3, 2, 3],
  'process-tasks-throttles': ['>', 0, 2, 3],
  'process-tasks-duration': ['>', 24_000, 2, 3],
  'advance-queues-errors': ['>=', 1, 3, 5],
  'advance-queues-throttles': ['>', 0, 3, 5],
  'advance-queues-duration': ['>', 40_000, 3, 5],
  'advance-queues-silent': ['<', 1, 1, 1],
  'queue-api-errors': ['>=', 3, 2, 3],
  'queue-api-throttles': ['>', 0, 2, 3],
  'queue-api-duration': ['>', 8_000, 2, 3],
  'maintain-cache-errors': ['>=', 1, 2, 2],
  'maintain-cache-throttles': ['>', 0, 2, 2],
  'maintain-cache-duration': ['>', 240_000, 2, 2],
  'commands-age': ['>', 120, 3, 3],
  'progress-age': ['>', 120, 3, 3],
  'ticks-age': ['>', 120, 3, 3],
  'commands-dead-letters': ['>', 0, 1, 1],
  'progress-dead-letters': ['>', 0, 1, 1],
  'ticks-dead-letters': ['>', 0, 1, 1],
  'undelivered': ['>', 0, 1, 1],
  ...Object.fromEntries(
    ['queues', 'progress', 'history', 'stats', 'rejections'].flatMap((table) => [
      [`${table}-table-throttles`, ['>', 10, 3, 5]],
      [`${table}-table-errors`, ['>', 5, 3, 5]],
    ]),
  ),
  'api-errors': ['>', 5, 2, 3],
  'malformed': ['>', 10, 1, 1],
  'lateness': ['>', 120_000, 3, 3],
};

test('alarms ring where they should', () => {
  const signs: Record<string, string> = {
    GreaterThanThreshold: '>',
    GreaterThanOrEqualToThreshold: '>=',
    LessThanThreshold: '<',
  };
  const found = Object.fromEntries(
    Object.entries(alarms).map(([name, { ComparisonOperator, Threshold, DatapointsToAlarm, EvaluationPeriods }]) => [
      name,
      [signs[ComparisonOperator], Threshold, DatapointsToAlarm ?? EvaluationPeriods, EvaluationPeriods],
    ]),
  );
  assert.deepEqual(found, THRESHOLDS);
});

test('silence is no alarm, but for the schedule', () => {
  for (const [name, { TreatMissingData }] of Object.entries(alarms)) {
    assert.equal(TreatMissingData, name === 'advance-queues-silent' ? 'breaching' : 'notBreaching', name);
  }
});

test('each alarm calls somebody, and says so when it is over, but for those that CodeDeploy looks at', () => {
  const composites = all(production, 'AWS::CloudWatch::CompositeAlarm').map(({ Properties }) => Properties);
  for (const { AlarmName, AlarmActions, OKActions } of [...Object.values(alarms), ...composites]) {
    if (/-new-version-/.test(AlarmName)) {
      assert.deepEqual([AlarmActions, OKActions], [undefined, undefined], AlarmName);
      continue;
    }
    assert.match(JSON.stringify(AlarmActions), /AlarmsTopic/);
    assert.match(JSON.stringify(OKActions), /AlarmsTopic/);
  }
});

test('each alarm says what it means, and its runbook is there', () => {
  const text = readFileSync(join(import.meta.dirname, '../..', RUNBOOK), 'utf8');
  const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, title]) =>
    (title ?? '')
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
  const linked = new Set<string>();
  const composites = all(production, 'AWS::CloudWatch::CompositeAlarm').map(({ Properties }) => Properties);
  for (const { AlarmName, AlarmDescription } of [...Object.values(alarms), ...composites]) {
    const [, meaning, anchor] = (AlarmDescription as string).match(/^(.+) What to do: docs\/operations.md#(.+)$/) ?? [];
    assert.ok((meaning ?? '').length > 30, AlarmName);
    assert.ok(headings.includes(anchor ?? ''), `${AlarmName}: ${RUNBOOK} has no heading for #${anchor}`);
    linked.add(anchor ?? '');
  }
  assert.ok(linked.size >= 15, 'an alarm of its own for each thing to do');
});

test('players are affected by what lets them wait, and not by what does not', () => {
  const [composite] = all(production, 'AWS::CloudWatch::CompositeAlarm');
  const rule = JSON.stringify(composite?.Properties.AlarmRule);
  for (const name of [
    'processtaskserrors',
    'commandsage',
    'commandsdeadletters',
    'apierrors',
    'lateness',
    'undelivered',
    'advancequeuessilent',
  ]) {
    assert.ok(rule.includes(`Alarms${name}`), name);
  }
  for (const name of ['cachehitrate', 'cachecpu', 'maintaincacheerrors', 'malformed']) {
    assert.equal(rule.includes(`Alarms${name}`), false, name);
  }
});

test('metrics are read out of the lines that functions log', () => {
  const filters = Object.fromEntries(
    all(production, 'AWS::Logs::MetricFilter').map(({ Properties }) => [
      Properties.MetricTransformations[0].MetricName,
      Properties,
    ]),
  );
  const { FilterPattern, MetricTransformations } = filters['CacheHits'];
  assert.equal(FilterPattern, '{ ($.message = "processed") && ($.cache_hits >= 0) }');
  assert.equal(MetricTransformations[0].MetricValue, '$.cache_hits');
  assert.equal(MetricTransformations[0].MetricNamespace, 'Millrace/production');
  assert.equal(Object.keys(filters).length, Object.keys(METRICS).length);
});

test('alarms reach a topic that is encrypted with a key that CloudWatch may use', () => {
  const [topic] = all(production, 'AWS::SNS::Topic');
  assert.ok(topic?.Properties.KmsMasterKeyId);
  const [key] = all(production, 'AWS::KMS::Key');
  const statement = key?.Properties.KeyPolicy.Statement.find((s: { Sid?: string }) => s.Sid === 'AlarmsToTopic');
  assert.deepEqual(statement.Principal, { Service: 'cloudwatch.amazonaws.com' });
});

test('alarms may be published to the topic: a policy takes the place of the one that allows it by itself', () => {
  const [policy] = all(production, 'AWS::SNS::TopicPolicy');
  const allowed = policy?.Properties.PolicyDocument.Statement.filter((s: { Effect: string }) => s.Effect === 'Allow');
  assert.equal(allowed?.length, 1, 'nobody else may');
  const [{ Principal, Action, Resource, Condition }] = allowed;
  assert.deepEqual([Principal, Action], [{ Service: 'cloudwatch.amazonaws.com' }, 'sns:Publish']);
  assert.match(JSON.stringify(Resource), /AlarmsTopic/);
  assert.deepEqual(Condition.StringEquals, { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } });
  // Composite alarms too: all that begin with the prefix.
  const arn = JSON.stringify(Condition.ArnLike['aws:SourceArn']);
  assert.match(arn, /:cloudwatch:/);
  assert.match(arn, /:alarm:millrace-production-\*"/);
});

test('the dashboard is read from top to bottom', () => {
  const [dashboard] = all(production, 'AWS::CloudWatch::Dashboard');
  const body = JSON.stringify(dashboard?.Properties.DashboardBody);
  const titles = ['Are players served?', 'How fast?', 'From where?', 'What is failing?', 'What does it cost?'];
  const places = titles.map((title) => body.indexOf(`## ${title}`));
  assert.ok(places.every((place) => place >= 0));
  assert.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  );
});

interface MetricQuery {
  Expression?: string;
  MetricStat?: { Metric: { MetricName: string; Dimensions: { Name: string; Value: unknown }[] }; Period: number };
}
/** The metrics of an alarm over several. */
const metricsOf = (name: string) =>
  (alarms[name].Metrics as MetricQuery[]).flatMap(({ MetricStat }) =>
    MetricStat === undefined ? [] : [MetricStat.Metric],
  );
const dimension = (name: string, { Dimensions }: { Dimensions: { Name: string; Value: unknown }[] }) =>
  Dimensions.find(({ Name }) => Name === name)?.Value;

test('a table that turns calls away is noticed, and so is its index, which has figures of its own', () => {
  for (const table of ['queues', 'progress', 'history', 'stats', 'rejections']) {
    const watched = metricsOf(`${table}-table-throttles`).map((metric) => [
      metric.MetricName,
      dimension('GlobalSecondaryIndexName', metric),
    ]);
    const own = [
      ['ReadThrottleEvents', undefined],
      ['WriteThrottleEvents', undefined],
    ];
    const index = [
      ['ReadThrottleEvents', 'due'],
      ['WriteThrottleEvents', 'due'],
    ];
    assert.deepEqual(watched, table === 'queues' ? [...own, ...index] : own);
  }
});

test('errors of DynamoDB are counted for every call that functions make', () => {
  const functions = Object.entries(alarms).filter(([name]) => name.endsWith('-table-errors'));
  assert.equal(functions.length, 5);
  for (const [name] of functions) {
    const operations = metricsOf(name).map((metric) => dimension('Operation', metric));
    for (const operation of [
      'BatchExecuteStatement',
      'PutItem',
      'GetItem',
      'BatchGetItem',
      'BatchWriteItem',
      'Query',
    ]) {
      assert.ok(operations.includes(operation), `${name}: ${operation}`);
    }
  }
});

test('a sum is there where only one of its figures is', () => {
  for (const [name, { Metrics }] of Object.entries(alarms)) {
    for (const { Expression } of (Metrics ?? []) as MetricQuery[]) {
      assert.doesNotMatch(Expression ?? '', / [+] /, `${name}: by + it would be missing where one of its figures is`);
    }
  }
});

test('the hit rate is that of all lookups, where there are enough of them', () => {
  const queries = alarms['cache-hit-rate'].Metrics as (MetricQuery & { Id: string; MetricStat?: { Stat: string } })[];
  const named = Object.fromEntries(
    queries.flatMap(({ Id, MetricStat }) =>
      MetricStat ? [[Id, [MetricStat.Metric.MetricName, MetricStat.Stat]]] : [],
    ),
  );
  assert.deepEqual(named, { hits: ['CacheHits', 'Sum'], lookups: ['CacheLookups', 'Sum'] });
  assert.ok(
    queries.some(({ Expression }) => Expression === 'IF(lookups >= 100, hits / lookups, 1)'),
    JSON.stringify(queries),
  );
});

test('a new version is taken back for one failed invocation of its own, and for what fails within invocations', () => {
  const minutes = ({ Metrics }: { Metrics: MetricQuery[] }) =>
    Metrics.flatMap(({ MetricStat }) => (MetricStat ? [MetricStat.Period] : []));
  for (const [name, total, failed] of [
    ['process-tasks', 'CommandsReceived', 'CommandsFailed'],
    ['queue-api', 'Count', '5xx'],
  ] as const) {
    const { MetricName, Namespace, Statistic, Period, Dimensions } = alarms[`${name}-new-version-errors`];
    assert.deepEqual([Namespace, MetricName, Statistic, Period], ['AWS/Lambda', 'Errors', 'Sum', 60]);
    const version =
      resources(production)[
        (dimension('ExecutedVersion', { Dimensions }) as { 'Fn::GetAtt': [string] })['Fn::GetAtt'][0]
      ];
    assert.equal(version?.Type, 'AWS::Lambda::Version', 'the one that this deployment brings');
    const share = alarms[`${name}-new-version-failures`];
    assert.deepEqual(
      metricsOf(`${name}-new-version-failures`).map(({ MetricName }) => MetricName),
      [failed, total],
    );
    assert.deepEqual(minutes(share), [60, 60]);
    assert.ok(
      (share.Metrics as MetricQuery[]).some(
        ({ Expression }) => Expression === 'IF(failed >= 5, 100 * failed / total, 0)',
      ),
    );
    // CodeDeploy looks at both.
    const group = one(
      production,
      'AWS::CodeDeploy::DeploymentGroup',
      'DeploymentGroupName',
      `millrace-production-${name}`,
    );
    const looked = JSON.stringify(group.Properties.AlarmConfiguration);
    assert.match(looked, new RegExp(`${name.replace('-', '')}newversionerrors`));
    assert.match(looked, new RegExp(`${name.replace('-', '')}newversionfailures`));
  }
  // All at once, a version is everybody's before anything is seen of it.
  assert.deepEqual(
    all(dev, 'AWS::CloudWatch::Alarm').filter(({ Properties }) => /-new-version-/.test(Properties.AlarmName)),
    [],
  );
});
