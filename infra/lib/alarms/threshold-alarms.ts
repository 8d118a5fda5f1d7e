// Alarms on the thresholds of the functions (shared/telemetry/metrics.json).

import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { type ServiceMetrics, type Threshold, THRESHOLDS } from '../metrics.ts';
import type { AlarmDefinition } from './definition.ts';

const { GREATER_THAN_THRESHOLD, LESS_THAN_THRESHOLD } = cloudwatch.ComparisonOperator;

/** The alarms that notify operators. */
export function thresholdAlarms(metrics: ServiceMetrics): AlarmDefinition[] {
  return THRESHOLDS.filter(({ audience }) => audience !== 'deployment').map((threshold) =>
    thresholdAlarm(metrics, threshold),
  );
}

export function thresholdAlarm(metrics: ServiceMetrics, threshold: Threshold): AlarmDefinition {
  const { id, comparison, datapoints, periods, audience, meaning, runbook } = threshold;
  return {
    name: id,
    metric: metrics.measure(threshold),
    threshold: metrics.limit(threshold),
    comparison: comparison === 'greaterThan' ? GREATER_THAN_THRESHOLD : LESS_THAN_THRESHOLD,
    datapoints: [datapoints, periods],
    meaning,
    runbook,
    affectsPlayers: audience === 'operatorsForPlayers',
  };
}
