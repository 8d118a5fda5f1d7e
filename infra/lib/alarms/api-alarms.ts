// Alarms on the HTTP API. The alarm on failed requests is one of the thresholds of the functions.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Api } from '../api.ts';
import type { AlarmDefinition } from './definition.ts';

const PERIOD = Duration.minutes(5);
const SLOW_MS = 2_000;
const REFUSED_PERCENT = 50;

export function apiAlarms({ api }: Api): AlarmDefinition[] {
  return [
    {
      name: 'api-latency',
      metric: api.metricLatency({ statistic: cloudwatch.Stats.p(99), period: PERIOD }),
      threshold: SLOW_MS,
      datapoints: [3, 3],
      meaning: 'One in a hundred HTTP requests takes more than two seconds.',
      runbook: 'api-latency',
    },
    {
      name: 'api-refused',
      metric: new cloudwatch.MathExpression({
        expression: 'IF(requests >= 100, 100 * refused / requests, 0)',
        usingMetrics: {
          refused: api.metricClientError({ statistic: cloudwatch.Stats.SUM, period: PERIOD }),
          requests: api.metricCount({ statistic: cloudwatch.Stats.SUM, period: PERIOD }),
        },
        label: 'refused requests (%)',
        period: PERIOD,
      }),
      threshold: REFUSED_PERCENT,
      datapoints: [3, 3],
      meaning: 'More than half of the HTTP requests are refused with a status from 400 to 499.',
      runbook: 'api-refused',
    },
  ];
}
