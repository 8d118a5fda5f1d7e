// The CloudWatch dashboard. It has a section for each question of an operator: Does the service
// work? How fast is it? How busy are the cache and the tables? What fails? How much is used?

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Alarms } from './alarms/alarms.ts';
import type { Api } from './api.ts';
import { cacheMetric, throttleMetrics } from './aws-metrics.ts';
import type { Cache } from './cache.ts';
import type { Functions } from './functions.ts';
import type { LogMetrics } from './log-metrics.ts';
import type { Queues } from './queues.ts';
import type { Settings } from './settings.ts';
import type { Tables } from './tables.ts';

export interface DashboardProps {
  prefix: string;
  settings: Settings;
  cache?: Cache;
  tables: Tables;
  queues: Queues;
  functions: Functions;
  api: Api;
  metrics: LogMetrics;
  alarms: Alarms;
}

const { SUM, AVERAGE, MAXIMUM } = cloudwatch.Stats;
const PERIOD = Duration.minutes(5);
const HOUR = Duration.hours(1);

/** Three widgets make a row. */
const SIZE = { width: 8, height: 6 };

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
    const addSection = (title: string, widgets: cloudwatch.IWidget[]) =>
      dashboard.addWidgets(new cloudwatch.TextWidget({ markdown: `## ${title}`, width: 24, height: 1 }), ...widgets);
    addSection('Service', serviceWidgets(props));
    addSection('Latency', latencyWidgets(props));
    addSection('Cache and tables', [...cacheWidgets(props), ...tableWidgets(props)]);
    addSection('Failures', failureWidgets(props));
    addSection('Usage', usageWidgets(props));
  }
}

function graph(title: string, left: cloudwatch.IMetric[], options: Partial<cloudwatch.GraphWidgetProps> = {}) {
  return new cloudwatch.GraphWidget({ title, left, ...SIZE, period: PERIOD, leftYAxis: { min: 0 }, ...options });
}

function serviceWidgets({ alarms, metrics, queues }: DashboardProps): cloudwatch.IWidget[] {
  return [
    new cloudwatch.AlarmStatusWidget({
      title: 'Alarms',
      alarms: [alarms.playersAffected, ...alarms.all],
      sortBy: cloudwatch.AlarmStatusWidgetSortBy.STATE_UPDATED_TIMESTAMP,
      ...SIZE,
    }),
    graph('Commands', [
      metrics.metric('applied', SUM).with({ label: 'applied' }),
      metrics.metric('rejected', SUM).with({ label: 'rejected' }),
      metrics.metric('failed', SUM).with({ label: 'failed, to be redelivered' }),
    ]),
    graph(
      'Age of the oldest message (s)',
      queues.all.map(([name, { queue }]) =>
        queue.metricApproximateAgeOfOldestMessage({ statistic: MAXIMUM, period: PERIOD, label: name }),
      ),
    ),
  ];
}

function latencyWidgets({ functions, metrics, api }: DashboardProps): cloudwatch.IWidget[] {
  const [p50, p95] = [cloudwatch.Stats.p(50), cloudwatch.Stats.p(95)];
  return [
    graph(
      'Duration of invocations, p95 (ms)',
      functions.all.map(([name, { live }]) => live.metricDuration({ statistic: p95, period: PERIOD, label: name })),
    ),
    graph('Latency of HTTP requests (ms)', [
      api.api.metricLatency({ statistic: p50, period: PERIOD, label: 'p50' }),
      api.api.metricLatency({ statistic: p95, period: PERIOD, label: 'p95' }),
    ]),
    graph('Lateness of due queues (ms)', [
      metrics.metric('lateness', MAXIMUM).with({ label: 'maximum' }),
      metrics.metric('lateness', AVERAGE).with({ label: 'average' }),
    ]),
  ];
}

/** A serverless cache has no nodes, and therefore no metrics of nodes. */
function cacheWidgets({ cache, metrics, settings }: DashboardProps): cloudwatch.IWidget[] {
  if (cache === undefined) {
    return [];
  }
  const hitRate = graph('Cache: hit rate (0 to 1)', [metrics.hitRate(1)], {
    leftYAxis: { min: 0, max: 1 },
    leftAnnotations: [{ value: settings.alarms.hitRatePercent / 100, label: 'alarm' }],
  });
  if (cache.nodes.length === 0) {
    return [hitRate];
  }
  const byNode = (metricName: string, statistic: string) =>
    cache.nodes.flat().map((node) => cacheMetric(node, metricName, statistic).with({ label: node, period: PERIOD }));
  return [
    hitRate,
    graph('Cache: memory (%) and evictions', byNode('DatabaseMemoryUsagePercentage', MAXIMUM), {
      right: byNode('Evictions', SUM),
    }),
    graph('Cache: CPU (%)', byNode('EngineCPUUtilization', AVERAGE)),
    graph('Cache: connections', byNode('CurrConnections', MAXIMUM)),
  ];
}

function tableWidgets({ tables, metrics }: DashboardProps): cloudwatch.IWidget[] {
  return [
    graph(
      'DynamoDB: read units',
      tables.all.map(([name, table]) =>
        table.metricConsumedReadCapacityUnits({ statistic: SUM, period: PERIOD, label: name }),
      ),
    ),
    graph('Version conflicts', [metrics.metric('conflicts', SUM).with({ label: 'conflicts' })]),
  ];
}

function failureWidgets({ functions, queues, api, tables, metrics }: DashboardProps): cloudwatch.IWidget[] {
  const visibleMessages = { statistic: MAXIMUM, period: PERIOD };
  return [
    graph(
      'Failed and throttled invocations',
      functions.all.map(([name, { live }]) => live.metricErrors({ statistic: SUM, period: PERIOD, label: name })),
      {
        right: functions.all.map(([name, { live }]) =>
          live.metricThrottles({ period: PERIOD, label: `${name} throttled` }),
        ),
      },
    ),
    graph('Dead letters and undelivered events', [
      ...queues.all.map(([name, { deadLetters }]) =>
        deadLetters.metricApproximateNumberOfMessagesVisible({ ...visibleMessages, label: name }),
      ),
      queues.undelivered.metricApproximateNumberOfMessagesVisible({ ...visibleMessages, label: 'undelivered' }),
    ]),
    graph('HTTP errors', [
      api.api.metricServerError({ statistic: SUM, period: PERIOD, label: '5xx' }),
      api.api.metricClientError({ statistic: SUM, period: PERIOD, label: '4xx' }),
    ]),
    graph(
      'DynamoDB: throttled calls',
      tables.all.flatMap(([name, table]) => throttleMetrics(name, table, PERIOD)),
    ),
    graph('Malformed input and unpublished events', [
      metrics.metric('malformed', SUM).with({ label: 'malformed' }),
      metrics.metric('eventsFailed', SUM).with({ label: 'events that could not be published' }),
    ]),
    new cloudwatch.LogQueryWidget({
      title: 'Reasons of failures and rejections',
      logGroupNames: [functions.byName['process-tasks'].logGroup.logGroupName],
      queryLines: [
        'filter message in ["failed", "rejected"]',
        'stats count(*) as times by message, reason',
        'sort times desc',
        'limit 20',
      ],
      ...SIZE,
    }),
  ];
}

function usageWidgets({ functions, tables, queues, api }: DashboardProps): cloudwatch.IWidget[] {
  return [
    graph(
      'Invocations per hour',
      functions.all.map(([name, { live }]) => live.metricInvocations({ statistic: SUM, period: HOUR, label: name })),
      { period: HOUR },
    ),
    graph(
      'DynamoDB: write units per hour',
      tables.all.map(([name, table]) =>
        table.metricConsumedWriteCapacityUnits({ statistic: SUM, period: HOUR, label: name }),
      ),
      { period: HOUR },
    ),
    graph(
      'Messages and HTTP requests per hour',
      [
        ...queues.all.map(([name, { queue }]) =>
          queue.metricNumberOfMessagesSent({ statistic: SUM, period: HOUR, label: name }),
        ),
        api.api.metricCount({ statistic: SUM, period: HOUR, label: 'HTTP' }),
      ],
      { period: HOUR },
    ),
  ];
}
