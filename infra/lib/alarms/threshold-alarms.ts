// Alarms on the thresholds of the functions (shared/telemetry/metrics.json).

import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { type ServiceMetrics, type Threshold, THRESHOLDS } from '../metrics.ts';
import type { Settings } from '../settings.ts';
import type { AlarmDefinition } from './definition.ts';

const { GREATER_THAN_THRESHOLD, LESS_THAN_THRESHOLD } = cloudwatch.ComparisonOperator;

/** Thresholds that say nothing where there is no shared cache. */
const ABOUT_SHARED_CACHE = ['cache-hit-rate', 'cache-unavailable'];

/** Thresholds on metrics of AWS services, which cost nothing. */
const BASIC = ['api-errors'];

/** The alarms that notify operators. */
export function thresholdAlarms(metrics: ServiceMetrics, { cache, events }: Settings): AlarmDefinition[] {
  const withoutData = [
    ...(cache.kind === 'none' ? ABOUT_SHARED_CACHE : []),
    ...(events.bus || events.queue || events.table ? [] : ['events-failed']),
  ];
  return THRESHOLDS.filter(({ id, audience }) => audience !== 'deployment' && !withoutData.includes(id)).map(
    (threshold) => ({ ...thresholdAlarm(metrics, threshold), isBasic: BASIC.includes(threshold.id) }),
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
