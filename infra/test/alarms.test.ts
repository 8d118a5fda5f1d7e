// The alarms of full monitoring: when each becomes active, which topic it notifies, and its
// description.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RUNBOOK } from '../lib/alarms/definition.ts';
import { idOf } from '../lib/construct-ids.ts';
import { NODE_CACHE, stages } from '../lib/settings.ts';
import { TABLE_NAMES, type TableName } from '../lib/tables.ts';
import {
  alarms,
  compositeAlarm,
  dimensionOf,
  hasExpression,
  type MetricQuery,
  metricStatsOf,
  queriesOf,
} from './alarm-support.ts';
import { propertiesOfType, synthesize } from './support.ts';

/** Comparison, threshold, datapoints to alarm and evaluation periods. */
const THRESHOLDS: Record<string, [string, number, number, number]> = {
  'process-tasks-new-version-errors': ['>', 0, 1, 1],
  'process-tasks-new-version-failures': ['>', 2, 1, 1],
  'queue-api-new-version-errors': ['>', 0, 1, 1],
  'queue-api-new-version-failures': ['>', 2, 1, 1],
  'cache-cpu': ['>', 45, 4, 5],
  'cache-memory': ['>', 85, 5, 5],
  'cache-freeable-memory': ['<', 100e6, 5, 5],
  'cache-evictions': ['>', 1000, 4, 5],
  'cache-connections': ['>', 10_000, 5, 5],
  'cache-authentication': ['>', 10, 3, 5],
  'cache-network-in': ['>', 0, 3, 5],
  'cache-network-out': ['>', 0, 3, 5],
  'cache-network-packets': ['>', 0, 3, 5],
  'cache-network-connections': ['>', 0, 3, 5],
  'cache-replication-lag': ['>', 10, 5, 5],
  'cache-hit-rate': ['<', 80, 3, 3],
  'cache-unavailable': ['>', 50, 4, 5],
  'memory': ['>', 90, 3, 3],
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
  'dead-letters-growing': ['>', 0, 1, 3],
  'async-events-dropped': ['>', 0, 1, 1],
  'undelivered-lost': ['>', 0, 1, 1],
  'notifications-failed': ['>', 0, 1, 1],
  'account-concurrency': ['>', 800, 3, 5],
  ...Object.fromEntries(
    TABLE_NAMES.flatMap((table) => [
      [`${table}-table-throttles`, ['>', 10, 3, 5]],
      [`${table}-table-errors`, ['>', 5, 3, 5]],
    ]),
  ),
  'api-errors': ['>', 5, 2, 3],
  'api-latency': ['>', 2000, 3, 3],
  'api-refused': ['>', 50, 3, 3],
  'malformed': ['>', 10, 1, 1],
  'events-failed': ['>', 0, 3, 5],
  'lateness': ['>', 120_000, 3, 3],
};

test('alarms have their thresholds', () => {
  const comparisons: Record<string, string> = {
    GreaterThanThreshold: '>',
    GreaterThanOrEqualToThreshold: '>=',
    LessThanThreshold: '<',
  };
  const found = Object.fromEntries(
    Object.entries(alarms).map(([name, { ComparisonOperator, Threshold, DatapointsToAlarm, EvaluationPeriods }]) => [
      name,
      [comparisons[ComparisonOperator], Threshold, DatapointsToAlarm, EvaluationPeriods],
    ]),
  );
  assert.deepEqual(found, THRESHOLDS);
});

test('missing data activates only the alarm on the silent schedule', () => {
  for (const [name, { TreatMissingData }] of Object.entries(alarms)) {
    assert.equal(TreatMissingData, name === 'advance-queues-silent' ? 'breaching' : 'notBreaching', name);
  }
});

test('the composite alarm pages, all others warn, and those for rollbacks notify no one', () => {
  const topicsOf = (actions: unknown[] | undefined) =>
    (actions ?? []).map((action) => /Notifications(Pages|Warnings)/.exec(JSON.stringify(action))?.[1]?.toLowerCase());
  const expected = (name: string) => {
    if (/-new-version-/.test(name)) {
      return [];
    }
    if (name.endsWith('-notifications-failed')) {
      return ['warnings', 'pages'];
    }
    return [name.endsWith('-players-are-affected') ? 'pages' : 'warnings'];
  };
  for (const { AlarmName, AlarmActions, OKActions } of [...Object.values(alarms), compositeAlarm]) {
    assert.deepEqual(topicsOf(AlarmActions), expected(AlarmName), AlarmName);
    assert.deepEqual(topicsOf(OKActions), expected(AlarmName), AlarmName);
  }
});

test('every alarm description has a meaning and names an existing section of the runbook', () => {
  const text = readFileSync(join(import.meta.dirname, '../..', RUNBOOK), 'utf8');
  const anchors = [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => anchorOf(title ?? ''));
  const named = new Set<string>();
  for (const { AlarmName, AlarmDescription } of [...Object.values(alarms), compositeAlarm]) {
    const [, meaning, anchor] = AlarmDescription.match(/^(.+) Runbook: docs\/operations.md#(.+)$/) ?? [];
    assert.ok((meaning ?? '').length > 30, AlarmName);
    assert.ok(anchors.includes(anchor ?? ''), `${AlarmName}: ${RUNBOOK} has no heading for #${anchor}`);
    named.add(anchor ?? '');
  }
  assert.ok(named.size >= 15, 'there is a section for each thing to do');
});

/** The anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');
}

test('the composite alarm contains the alarms that affect players', () => {
  const rule = JSON.stringify(compositeAlarm.AlarmRule);
  const affecting = [
    'process-tasks-errors',
    'commands-age',
    'dead-letters-growing',
    'api-errors',
    'events-failed',
    'lateness',
    'undelivered-lost',
    'advance-queues-silent',
  ];
  for (const name of affecting) {
    assert.ok(rule.includes(`Alarms${idOf(name)}`), name);
  }
  const others = [
    'cache-hit-rate',
    'cache-unavailable',
    'cache-cpu',
    'maintain-cache-errors',
    'malformed',
    'api-refused',
  ];
  for (const name of others) {
    assert.equal(rule.includes(`Alarms${idOf(name)}`), false, name);
  }
});

test('old dead letters do not keep the composite alarm active', () => {
  const rule = JSON.stringify(compositeAlarm.AlarmRule);
  assert.doesNotMatch(rule, /Alarms\w*DeadLetters(?!Growing)/);
  assert.doesNotMatch(rule, /AlarmsUndelivered(?!Lost)/);
  const [expression] = queriesOf('dead-letters-growing').flatMap(({ Expression }) => Expression ?? []);
  assert.match(expression ?? '', /^DIFF\(SUM\(\[FILL\(m1, 0\), .*FILL\(m8, 0\)\]\)\)$/);
  const metrics = metricStatsOf('dead-letters-growing').map(({ Metric }) => Metric.MetricName);
  assert.equal(metrics.length, 8, 'visible and hidden messages of four queues');
});

test('no alarm has more metrics than CloudWatch allows', () => {
  const nodes = { ...NODE_CACHE, replicas: 5, shards: 2 };
  const largest = synthesize({
    ...stages.production,
    cache: nodes,
    events: { ...stages.production.events, queue: true },
  });
  for (const { AlarmName, Metrics = [] } of propertiesOfType(largest, 'AWS::CloudWatch::Alarm')) {
    const metrics = Metrics.filter(({ MetricStat }: MetricQuery) => MetricStat !== undefined);
    assert.ok(metrics.length <= 10, `${AlarmName} has ${metrics.length} metrics`);
  }
});

test('throttled calls are counted for every table and for the due index', () => {
  for (const table of TABLE_NAMES) {
    const watched = metricStatsOf(`${table}-table-throttles`).map(({ Metric }) => [
      Metric.MetricName,
      dimensionOf(Metric, 'GlobalSecondaryIndexName'),
    ]);
    const ofTable = [
      ['ReadThrottleEvents', undefined],
      ['WriteThrottleEvents', undefined],
    ];
    const ofIndex = [
      ['ReadThrottleEvents', 'due'],
      ['WriteThrottleEvents', 'due'],
    ];
    assert.deepEqual(watched, table === 'queues' ? [...ofTable, ...ofIndex] : ofTable);
  }
});

test('errors of DynamoDB are counted for the operations that functions call on a table', () => {
  const expected: Record<TableName, string[]> = {
    queues: ['BatchExecuteStatement', 'BatchGetItem', 'GetItem', 'PutItem', 'Query', 'Scan'],
    progress: ['BatchGetItem', 'BatchWriteItem'],
    stats: ['BatchGetItem', 'BatchWriteItem'],
    history: ['BatchWriteItem', 'Query'],
    rejections: ['BatchWriteItem', 'Query'],
    events: ['BatchWriteItem', 'Query'],
  };
  for (const table of TABLE_NAMES) {
    const operations = metricStatsOf(`${table}-table-errors`).map(({ Metric }) => dimensionOf(Metric, 'Operation'));
    assert.deepEqual(operations.toSorted(), expected[table], table);
  }
});

test('no sum is missing where one of its metrics has no data', () => {
  for (const name of Object.keys(alarms)) {
    for (const { Expression } of queriesOf(name)) {
      assert.doesNotMatch(Expression ?? '', / [+] /, `${name}: the operator + needs data of all metrics`);
    }
  }
});

test('the hit rate is computed from enough lookups', () => {
  const metrics = queriesOf('cache-hit-rate').flatMap(({ Id, MetricStat }) =>
    MetricStat === undefined ? [] : [[Id, [MetricStat.Metric.MetricName, MetricStat.Stat]]],
  );
  assert.deepEqual(Object.fromEntries(metrics), { part: ['CacheHits', 'Sum'], whole: ['CacheLookups', 'Sum'] });
  assert.ok(hasExpression('cache-hit-rate', 'IF(whole >= 100, 100 * part / whole, 100)'));
});
