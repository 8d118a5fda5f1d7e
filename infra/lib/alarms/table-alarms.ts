// Alarms on throttled and failed calls of DynamoDB.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { combinedMetric, throttleMetrics } from '../aws-metrics.ts';
import type { Settings } from '../settings.ts';
import { operationsOn } from '../table-access.ts';
import type { TableName, Tables } from '../tables.ts';
import type { AlarmDefinition } from './definition.ts';

const PERIOD = Duration.minutes(1);

/** The events table is empty where no events are written to it. */
export function tableAlarms(tables: Tables, { events }: Pick<Settings, 'events'>): AlarmDefinition[] {
  return tables.all
    .filter(([name]) => events.table || name !== 'events')
    .flatMap(([name, table]) => alarmsOfTable(name, table));
}

function alarmsOfTable(name: TableName, table: dynamodb.Table): AlarmDefinition[] {
  // An operation that no function calls has no data, and each metric of an alarm has a price.
  const systemErrors = operationsOn(name).map((operation) =>
    table.metric('SystemErrors', {
      statistic: cloudwatch.Stats.SUM,
      period: PERIOD,
      dimensionsMap: { TableName: table.tableName, Operation: operation },
    }),
  );
  return [
    {
      name: `${name}-table-throttles`,
      metric: combinedMetric('SUM', throttleMetrics(name, table, PERIOD), 'throttled'),
      threshold: 10,
      datapoints: [3, 5],
      meaning: `DynamoDB throttles calls on the ${name} table: the load grew faster than it scales, or one key is hot.`,
      runbook: 'table-throttles',
    },
    {
      name: `${name}-table-errors`,
      metric: combinedMetric('SUM', systemErrors, 'system errors'),
      threshold: 5,
      datapoints: [3, 5],
      meaning: `Calls on the ${name} table fail with errors on the side of DynamoDB.`,
      runbook: 'table-errors',
    },
  ];
}
