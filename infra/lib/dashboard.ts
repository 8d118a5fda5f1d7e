// The dashboard, in reading order: are players served, how fast, from where, what is failing, what does it cost.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Alarms } from './alarms.ts';
import type { Api } from './api.ts';
import type { Cache } from './cache.ts';
import { cacheMetric, throttleMetrics } from './figures.ts';
import type { Functions } from './functions.ts';
import type { LogMetrics } from './metrics.ts';
import type { Queues } from './queues.ts';
import type { Settings } from './settings.ts';
import type { Tables } from './tables.ts';

export interface DashboardProps {
  prefix: string;
  settings: Settings;
  cache: Cache;
  tables: Tables;
  queues: Queues;
  functions: Functions;
  api: Api;
  metrics: LogMetrics;
  alarms: Alarms;
}

const { SUM, AVERAGE, MAXIMUM } = cloudwatch.Stats;
const PERIOD = Duration.minutes(5);

export class Dashboard extends Construct {
  readonly name: string;

  constructor(scope: Construct, id: string, props: DashboardProps) {
    super(scope, id);
    this.name = `${props.prefix}overview`;
    const dashboard = new cloudwatch.Dashboard(this, 'Overview', {
      dashboardName: this.name,
      defaultInterval: Duration.hours(3),
      periodOverride: cloudwatch.PeriodOverride.AUTO,
    });
    const row = (title: string, ...widgets: cloudwatch.IWidget[]) =>
      dashboard.addWidgets(new cloudwatch.TextWidget({ markdown: `## ${title}`, width: 24, height: 1 }), ...widgets);
    row('Are players served?', ...served(props));
    row('How fast?', ...fast(props));
    row('From where?', ...where(props));
    row('What is failing?', ...failing(props));
    row('What does it cost?', ...costs(props));
  }
}

/** A third of the width. */
function graph(title: string, left: cloudwatch.IMetric[], options: Partial<cloudwatch.GraphWidgetProps> = {}) {
  return new cloudwatch.GraphWidget({
    title,
    left,
    width: 8,
    height: 6,
    period: PERIOD,
    leftYAxis: { min: 0 },
    ...options,
  });
}

function served({ alarms, metrics, queues }: DashboardProps): cloudwatch.IWidget[] {
  return [
    new cloudwatch.AlarmStatusWidget({
      title: 'Alarms',
      alarms: [alarms.playersAffected, ...alarms.all],
      sortBy: cloudwatch.AlarmStatusWidgetSortBy.STATE_UPDATED_TIMESTAMP,
      width: 8,
      height: 6,
    }),
    graph('Commands', [
      metrics.metric('applied', SUM).with({ label: 'applied' }),
      metrics.metric('rejected', SUM).with({ label: 'rejected' }),
      metrics.metric('failed', SUM).with({ label: 'failed, come again' }),
    ]),
    graph(
      'Oldest message (s)',
      queues.all.map(([name, { queue }]) =>
        queue.metricApproximateAgeOfOldestMessage({ statistic: MAXIMUM, period: PERIOD, label: name }),
      ),
    ),
  ];
}

function fast({ functions, metrics, api }: DashboardProps): cloudwatch.IWidget[] {
  const [p50, p95] = [cloudwatch.Stats.p(50), cloudwatch.Stats.p(95)];
  return [
    graph(
      'Invocations, p95 (ms)',
      functions.all.map(([name, { live }]) => live.metricDuration({ statistic: p95, period: PERIOD, label: name })),
    ),
    graph('HTTP (ms)', [
      api.api.metricLatency({ statistic: p50, period: PERIOD, label: 'p50' }),
      api.api.metricLatency({ statistic: p95, period: PERIOD, label: 'p95' }),
    ]),
    graph('Queues advanced late by (ms)', [
      metrics.metric('lateness', MAXIMUM).with({ label: 'most' }),
      metrics.metric('lateness', AVERAGE).with({ label: 'average' }),
    ]),
  ];
}

function where({ cache, metrics, tables, settings }: DashboardProps): cloudwatch.IWidget[] {
  const each = (metricName: string, statistic: string) =>
    cache.nodes.flat().map((node) => cacheMetric(node, metricName, statistic).with({ label: node, period: PERIOD }));
  return [
    graph('Found in the cache (of 1)', [metrics.hitRate(1)], {
      leftYAxis: { min: 0, max: 1 },
      leftAnnotations: [{ value: settings.alarms.hitRatePercent / 100, label: 'alarm' }],
    }),
    graph('Cache: memory (%)', each('DatabaseMemoryUsagePercentage', MAXIMUM), { right: each('Evictions', SUM) }),
    graph(
      'DynamoDB: read units',
      tables.all.map(([name, table]) =>
        table.metricConsumedReadCapacityUnits({ statistic: SUM, period: PERIOD, label: name }),
      ),
    ),
    graph('Cache: processor (%)', each('EngineCPUUtilization', AVERAGE)),
    graph('Cache: connections', each('CurrConnections', MAXIMUM)),
    graph('Commits that met a newer version', [metrics.metric('conflicts', SUM).with({ label: 'conflicts' })]),
  ];
}

function failing({ functions, queues, api, tables, metrics }: DashboardProps): cloudwatch.IWidget[] {
  return [
    graph(
      'Failed invocations',
      functions.all.map(([name, { live }]) => live.metricErrors({ statistic: SUM, period: PERIOD, label: name })),
      {
        right: functions.all.map(([name, { live }]) =>
          live.metricThrottles({ period: PERIOD, label: `${name} throttled` }),
        ),
      },
    ),
    graph('Set aside', [
      ...queues.all.map(([name, { deadLetters }]) =>
        deadLetters.metricApproximateNumberOfMessagesVisible({ statistic: MAXIMUM, period: PERIOD, label: name }),
      ),
      queues.undelivered.metricApproximateNumberOfMessagesVisible({
        statistic: MAXIMUM,
        period: PERIOD,
        label: 'undelivered',
      }),
    ]),
    graph('HTTP', [
      api.api.metricServerError({ statistic: SUM, period: PERIOD, label: '5xx' }),
      api.api.metricClientError({ statistic: SUM, period: PERIOD, label: '4xx' }),
    ]),
    graph(
      'DynamoDB: throttled',
      tables.all.flatMap(([name, table]) => throttleMetrics(name, table, PERIOD)),
    ),
    graph('Not understood', [metrics.metric('malformed', SUM).with({ label: 'malformed' })]),
    new cloudwatch.LogQueryWidget({
      title: 'Why commands fail and are rejected',
      logGroupNames: [functions.byName['process-tasks'].logGroup.logGroupName],
      queryLines: [
        'filter message in ["failed", "rejected"]',
        'stats count(*) as times by message, reason',
        'sort times desc',
        'limit 20',
      ],
      width: 8,
      height: 6,
    }),
  ];
}

function costs({ functions, tables, queues, api }: DashboardProps): cloudwatch.IWidget[] {
  const hour = Duration.hours(1);
  return [
    graph(
      'Invocations an hour',
      functions.all.map(([name, { live }]) => live.metricInvocations({ statistic: SUM, period: hour, label: name })),
      { period: hour },
    ),
    graph(
      'DynamoDB: write units an hour',
      tables.all.map(([name, table]) =>
        table.metricConsumedWriteCapacityUnits({ statistic: SUM, period: hour, label: name }),
      ),
      { period: hour },
    ),
    graph(
      'Messages and requests an hour',
      [
        ...queues.all.map(([name, { queue }]) =>
          queue.metricNumberOfMessagesSent({ statistic: SUM, period: hour, label: name }),
        ),
        api.api.metricCount({ statistic: SUM, period: hour, label: 'HTTP' }),
      ],
      { period: hour },
    ),
  ];
}
