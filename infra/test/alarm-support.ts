// Helpers to look into the alarms of production with a replication group, which has most alarms.

import { productionWithNodes, propertiesOfType } from './support.ts';

export interface MetricQuery {
  Id: string;
  Expression?: string;
  MetricStat?: { Metric: Metric; Period: number; Stat: string };
}

export interface Metric {
  MetricName: string;
  Dimensions?: { Name: string; Value: unknown }[];
}

/** The properties of the alarms, by name without prefix. */
export const alarms: Record<string, any> = Object.fromEntries(
  propertiesOfType(productionWithNodes, 'AWS::CloudWatch::Alarm').map((properties) => [
    properties.AlarmName.replace('millrace-production-', ''),
    properties,
  ]),
);

export const [compositeAlarm] = propertiesOfType(productionWithNodes, 'AWS::CloudWatch::CompositeAlarm');

/** The queries of an alarm over several metrics. Empty for an alarm over one metric. */
export function queriesOf(name: string): MetricQuery[] {
  return alarms[name].Metrics ?? [];
}

/** The queries of an alarm that are metrics and not expressions. */
export function metricStatsOf(name: string): NonNullable<MetricQuery['MetricStat']>[] {
  return queriesOf(name).flatMap(({ MetricStat }) => MetricStat ?? []);
}

export function hasExpression(name: string, expression: string): boolean {
  return queriesOf(name).some(({ Expression }) => Expression === expression);
}

export function dimensionOf(metric: Metric, name: string): unknown {
  return metric.Dimensions?.find((dimension) => dimension.Name === name)?.Value;
}
