// Alarms on a serverless cache.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { ServerlessCacheSettings } from '../settings.ts';
import type { AlarmDefinition } from './definition.ts';
import { AUTHENTICATION_ALARM } from './cache-alarms.ts';

const MINUTE = Duration.minutes(1);
const BYTES_PER_GB = 1e9;

/** The share of a limit above which the alarm warns. */
const USED_SHARE = 0.8;

export function serverlessCacheAlarms(name: string, { maximum }: ServerlessCacheSettings): AlarmDefinition[] {
  const metric = (metricName: string, statistic: string) =>
    new cloudwatch.Metric({
      namespace: 'AWS/ElastiCache',
      metricName,
      dimensionsMap: { clusterId: name },
      statistic,
      period: MINUTE,
    });
  const { storageGb, ecpuPerSecond } = maximum ?? {};
  return [
    {
      name: 'cache-throttled',
      metric: metric('ThrottledCmds', cloudwatch.Stats.SUM),
      threshold: 0,
      datapoints: [3, 5],
      meaning: 'The serverless cache throttles: it has reached its limit, or the load grows faster than it scales.',
      runbook: 'cache-limits',
    },
    { ...AUTHENTICATION_ALARM, metric: metric('AuthenticationFailures', cloudwatch.Stats.SUM) },
    ...(storageGb === undefined
      ? []
      : [
          {
            name: 'cache-storage',
            metric: metric('BytesUsedForCache', cloudwatch.Stats.MAXIMUM),
            threshold: USED_SHARE * storageGb * BYTES_PER_GB,
            datapoints: [5, 5] satisfies [number, number],
            meaning: 'The cache uses more than 80 % of its limit of storage. At the limit it evicts copies.',
            runbook: 'cache-limits',
          },
        ]),
    ...(ecpuPerSecond === undefined
      ? []
      : [
          {
            name: 'cache-ecpu',
            metric: metric('ElastiCacheProcessingUnits', cloudwatch.Stats.SUM),
            threshold: USED_SHARE * ecpuPerSecond * MINUTE.toSeconds(),
            datapoints: [3, 5] satisfies [number, number],
            meaning: 'The cache uses more than 80 % of its limit of ECPU a second. At the limit it refuses requests.',
            runbook: 'cache-limits',
          },
        ]),
  ];
}
