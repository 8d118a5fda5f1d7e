// Metrics of AWS services that alarms and the dashboard share.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { DUE_INDEX, type TableName } from './tables.ts';

/** A metric of one cache node. */
export function cacheMetric(node: string, metricName: string, statistic: string): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'AWS/ElastiCache',
    metricName,
    dimensionsMap: { CacheClusterId: node },
    statistic,
    period: Duration.minutes(1),
  });
}

/** Throttled reads and writes of a table and of its index, which are not counted with the table. */
export function throttleMetrics(name: TableName, table: dynamodb.Table, period: Duration): cloudwatch.Metric[] {
  const indexes = name === 'queues' ? [undefined, DUE_INDEX] : [undefined];
  return indexes.flatMap((index) =>
    ['ReadThrottleEvents', 'WriteThrottleEvents'].map((metricName) =>
      table.metric(metricName, {
        statistic: cloudwatch.Stats.SUM,
        period,
        label: `${index === undefined ? name : `${name}/${index}`} ${metricName}`,
        dimensionsMap: { TableName: table.tableName, ...(index !== undefined && { GlobalSecondaryIndexName: index }) },
      }),
    ),
  );
}

/**
 * One metric over several. In a sum, a metric without data counts as 0: services publish no zeros,
 * and the operator `+` would have a value only where all metrics have one.
 */
export function combinedMetric(
  operation: 'MAX' | 'MIN' | 'SUM',
  metrics: cloudwatch.Metric[],
  label: string,
): cloudwatch.IMetric {
  const [first, ...rest] = metrics;
  if (first !== undefined && rest.length === 0) {
    return first;
  }
  const usingMetrics = Object.fromEntries(metrics.map((metric, index) => [`m${index + 1}`, metric]));
  const names = Object.keys(usingMetrics);
  const operands = operation === 'SUM' ? names.map((name) => `FILL(${name}, 0)`) : names;
  return new cloudwatch.MathExpression({
    expression: `${operation}([${operands.join(', ')}])`,
    usingMetrics,
    label,
    period: first?.period ?? Duration.minutes(1),
  });
}
