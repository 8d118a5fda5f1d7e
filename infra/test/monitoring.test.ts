// The metrics of the functions and the dashboard.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PUBLISHED_METRICS, SERVICE } from '../lib/metrics.ts';
import { stages } from '../lib/settings.ts';
import { production, propertiesOfType, synthesize } from './support.ts';

interface Metric {
  Namespace: string;
  MetricName: string;
  Dimensions?: { Name: string; Value: unknown }[];
}

/** The metrics of the functions in all alarms. */
function metricsOfAlarms(template: typeof production): Metric[] {
  const alarms = propertiesOfType(template, 'AWS::CloudWatch::Alarm');
  const all = alarms.flatMap(({ Metrics, ...alarm }): Metric[] =>
    Metrics === undefined ? [alarm] : Metrics.flatMap(({ MetricStat }: any) => MetricStat?.Metric ?? []),
  );
  return all.filter(({ Namespace }) => !Namespace.startsWith('AWS/'));
}

test('alarms watch metrics that the functions write, in their namespace', () => {
  const known = PUBLISHED_METRICS.map(({ name }) => name);
  const watched = metricsOfAlarms(production);
  assert.ok(watched.length >= 8, `only ${watched.length} metrics were found`);
  for (const { Namespace, MetricName, Dimensions } of watched) {
    assert.ok(known.includes(MetricName), MetricName);
    assert.deepEqual([Namespace, Dimensions], ['Millrace/production', [{ Name: 'service', Value: SERVICE }]]);
  }
  for (const { Environment } of propertiesOfType(production, 'AWS::Lambda::Function')) {
    const { MILLRACE_METRICS_NAMESPACE, MILLRACE_THRESHOLDS } = Environment.Variables;
    assert.deepEqual([MILLRACE_METRICS_NAMESPACE, MILLRACE_THRESHOLDS], ['Millrace/production', undefined]);
  }
});

test('alarms or the dashboard show every metric that costs money', () => {
  const [dashboard] = propertiesOfType(production, 'AWS::CloudWatch::Dashboard');
  const body = JSON.stringify(dashboard.DashboardBody);
  const watched = new Set(metricsOfAlarms(production).map(({ MetricName }) => MetricName));
  const unused = PUBLISHED_METRICS.filter(({ name }) => !watched.has(name) && !body.includes(`\\"${name}\\"`));
  assert.deepEqual(unused, []);
});

test('a stage sets other limits for its alarms and its functions at once', () => {
  const alarms = { ...stages.production.alarms, thresholds: { 'lateness': 60_000, 'cache-hit-rate': 70 } };
  const template = synthesize({ ...stages.production, alarms });
  const limitOf = (name: string) =>
    propertiesOfType(template, 'AWS::CloudWatch::Alarm').find(
      ({ AlarmName }) => AlarmName === `millrace-production-${name}`,
    ).Threshold;
  assert.deepEqual(['lateness', 'cache-hit-rate', 'malformed'].map(limitOf), [60_000, 70, 10]);
  for (const { Environment } of propertiesOfType(template, 'AWS::Lambda::Function')) {
    assert.equal(Environment.Variables.MILLRACE_THRESHOLDS, 'lateness=60000,cache-hit-rate=70');
  }
});

test('the dashboard has its sections in order', () => {
  const [dashboard] = propertiesOfType(production, 'AWS::CloudWatch::Dashboard');
  const body = JSON.stringify(dashboard.DashboardBody);
  const sections = [...body.matchAll(/## ([A-Za-z ]+)/g)].map(([, title]) => title);
  assert.deepEqual(sections, ['Service', 'Latency', 'Cache and tables', 'Failures', 'Usage']);
});
