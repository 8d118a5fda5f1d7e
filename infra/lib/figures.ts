// Figures of AWS that alarms and the dashboard have in common.

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

/** Calls that DynamoDB turned away: of a table, and, for those of the table do not include them, of its index. */
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

/** Several metrics as one; one stays itself. Where a metric has no figure it counts for nothing: DynamoDB sends none that
 *  is zero, and a sum by `+` would be there only where all of them are. */
export function folded(fold: 'MAX' | 'SUM', metrics: cloudwatch.Metric[], label: string): cloudwatch.IMetric {
  const [first, ...rest] = metrics;
  if (first !== undefined && rest.length === 0) {
    return first;
  }
  const usingMetrics = Object.fromEntries(metrics.map((metric, index) => [`m${index + 1}`, metric]));
  const names = Object.keys(usingMetrics);
  return new cloudwatch.MathExpression({
    expression:
      fold === 'MAX' ? `MAX([${names.join(', ')}])` : `SUM([${names.map((name) => `FILL(${name}, 0)`).join(', ')}])`,
    usingMetrics,
    label,
    period: Duration.minutes(1),
  });
}
