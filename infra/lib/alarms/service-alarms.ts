// Alarms on what callers and workers notice: HTTP errors, malformed input, events that are not
// published, and lateness.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Api } from '../api.ts';
import type { LogMetrics } from '../log-metrics.ts';
import type { AlarmDefinition } from './definition.ts';

export function serviceAlarms(api: Api, metrics: LogMetrics, maximumLatenessSeconds: number): AlarmDefinition[] {
  return [
    {
      name: 'api-errors',
      metric: api.stage.metricServerError({ statistic: cloudwatch.Stats.SUM, period: Duration.minutes(5) }),
      threshold: 5,
      datapoints: [2, 3],
      meaning: 'HTTP requests end with a status of 500 or above.',
      runbook: 'api-errors',
      affectsPlayers: true,
    },
    {
      name: 'malformed',
      metric: metrics.metric('malformed', cloudwatch.Stats.SUM),
      threshold: 10,
      meaning: 'A sender sends malformed input. The rejections table contains it with the reason.',
      runbook: 'malformed',
    },
    {
      name: 'events-failed',
      metric: metrics.metric('eventsFailed', cloudwatch.Stats.SUM, Duration.minutes(1)),
      threshold: 0,
      // A throttled call is retried, and its events are published a moment later.
      datapoints: [3, 5],
      meaning: 'Events cannot be published. Workers do not learn of tasks, and messages are redelivered.',
      runbook: 'events-failed',
      affectsPlayers: true,
    },
    {
      name: 'lateness',
      metric: metrics.metric('lateness', cloudwatch.Stats.MAXIMUM, Duration.minutes(1)),
      threshold: maximumLatenessSeconds * 1000,
      datapoints: [3, 3],
      meaning: 'Queues are advanced long after their due moment. Recorded times are right, but effects show late.',
      runbook: 'lateness',
      affectsPlayers: true,
    },
  ];
}
