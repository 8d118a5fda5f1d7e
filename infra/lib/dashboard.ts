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
import { SERVICE, type ServiceMetrics, thresholdOf } from './metrics.ts';
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
  metrics: ServiceMetrics;
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
      alarms: [...(alarms.playersAffected === undefined ? [] : [alarms.playersAffected]), ...alarms.all],
      sortBy: cloudwatch.AlarmStatusWidgetSortBy.STATE_UPDATED_TIMESTAMP,
      ...SIZE,
    }),
    graph('Commands', [
      metrics.metric('CommandsApplied', { label: 'applied' }),
      metrics.metric('CommandsRejected', { label: 'rejected' }),
      metrics.metric('CommandsFailed', { label: 'failed, to be redelivered' }),
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
      metrics.metric('Lateness', { label: 'maximum' }),
      metrics.metric('Lateness', { statistic: AVERAGE, label: 'average' }),
    ]),
  ];
}

/** A serverless cache has no nodes, and therefore no metrics of nodes. */
function cacheWidgets({ cache, metrics }: DashboardProps): cloudwatch.IWidget[] {
  if (cache === undefined) {
    return [];
  }
  const threshold = thresholdOf('cache-hit-rate');
  const fromFunctions = [
    graph('Cache: hit rate (%)', [metrics.measure(threshold)], {
      leftYAxis: { min: 0, max: 100 },
      leftAnnotations: [{ value: metrics.limit(threshold), label: 'alarm' }],
    }),
    graph('Cache: errors, and invocations without Redis (%)', [metrics.metric('RedisErrors', { label: 'errors' })], {
      right: [metrics.metric('RedisUnavailable', { label: 'without Redis' })],
      rightYAxis: { min: 0, max: 100 },
    }),
  ];
  if (cache.nodes.length === 0) {
    return fromFunctions;
  }
  const byNode = (metricName: string, statistic: string) =>
    cache.nodes.flat().map((node) => cacheMetric(node, metricName, statistic).with({ label: node, period: PERIOD }));
  return [
    ...fromFunctions,
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
    graph('Version conflicts', [metrics.metric('Conflicts', { label: 'conflicts' })]),
    graph('Calls to the tables', [
      metrics.metric('RoundTrips', { label: 'made' }),
      metrics.metric('RoundTripsSaved', { label: 'saved by batches' }),
    ]),
    graph('Memory of the functions (%)', [metrics.metric('MemoryUsed', { label: 'maximum' })]),
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
    graph('Malformed input, unpublished events, lost attempts', [
      metrics.metric('CommandsMalformed', { label: 'malformed' }),
      metrics.metric('EventsFailed', { label: 'events that could not be published' }),
      metrics.metric('AttemptsTimedOut', { label: 'attempts that missed a deadline' }),
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

function usageWidgets({ functions, tables, queues, api, metrics }: DashboardProps): cloudwatch.IWidget[] {
  return [
    graph(
      'Estimated cost of invocations per hour (millionths of a dollar)',
      [metrics.metric('EstimatedCost', { period: HOUR, label: 'cost' })],
      { period: HOUR },
    ),
    graph(
      'Commands and events per hour',
      [
        metrics.metric('CommandsReceived', { period: HOUR, label: 'commands' }),
        metrics.metric('EventsPublished', { period: HOUR, label: 'events' }),
      ],
      { period: HOUR },
    ),
    graph(
      'Cold starts per hour',
      functions.all.map(([name, { function: fn }]) =>
        metrics.metric('ColdStart', {
          period: HOUR,
          label: name,
          dimensionsMap: { service: SERVICE, function_name: fn.functionName },
        }),
      ),
      { period: HOUR },
    ),
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
