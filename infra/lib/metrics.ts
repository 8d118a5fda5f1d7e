// The metrics that the functions write, and the thresholds on them. Both lists come from the
// functions: `shared/telemetry/metrics.json` is generated there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Settings } from './settings.ts';

interface MetricDefinition {
  name: string;
  statistic: 'Sum' | 'Average' | 'Maximum';
  /** Whether CloudWatch keeps it. The others are only fields of log lines. */
  published: boolean;
  dimensions?: string[];
}

type Measure =
  | { kind: 'value'; metric: string }
  /** A percentage. With less than `minimum` of `required`, no limit is passed. */
  | { kind: 'percentage'; part: string; whole: string; required: string; minimum: number };

export interface Threshold {
  /** Name of the alarm, without the prefix. */
  id: string;
  measure: Measure;
  comparison: 'greaterThan' | 'lessThan';
  default: number;
  periodSeconds: number;
  datapoints: number;
  periods: number;
  audience: 'operators' | 'operatorsForPlayers' | 'deployment';
  meaning: string;
  runbook: string;
}

interface Catalog {
  service: string;
  metrics: MetricDefinition[];
  thresholds: Threshold[];
}

const CATALOG = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../shared/telemetry/metrics.json'), 'utf8'),
) as Catalog;

/** The dimension `service` of all metrics. */
export const SERVICE = CATALOG.service;
export const THRESHOLDS: readonly Threshold[] = CATALOG.thresholds;
export const PUBLISHED_METRICS: readonly MetricDefinition[] = CATALOG.metrics.filter(({ published }) => published);

/** The metric of an AWS service that has the values of a metric that is not published. */
type AwsMetric = (options: cloudwatch.MetricOptions) => cloudwatch.IMetric;

export interface ServiceMetricsProps {
  stage: string;
  /** Limits that differ from their defaults, by threshold. */
  limits: Settings['alarms']['thresholds'];
  /** By the name of the metric that is not published. */
  awsMetrics: Record<string, AwsMetric>;
}

/** The metrics of a stage. */
export class ServiceMetrics {
  constructor(private readonly props: ServiceMetricsProps) {}

  /** A published metric, or the metric of an AWS service with its values. */
  metric(name: string, options: cloudwatch.MetricOptions = {}): cloudwatch.IMetric {
    const definition = CATALOG.metrics.find((metric) => metric.name === name);
    const awsMetric = this.props.awsMetrics[name];
    if (definition === undefined || (!definition.published && awsMetric === undefined)) {
      throw new Error(`shared/telemetry/metrics.json has no published metric ${name}`);
    }
    const all = { statistic: definition.statistic, period: Duration.minutes(5), ...options };
    return awsMetric !== undefined
      ? awsMetric(all)
      : new cloudwatch.Metric({
          namespace: namespaceOf(this.props.stage),
          metricName: name,
          dimensionsMap: { service: SERVICE },
          ...all,
        });
  }

  /** What a threshold compares with its limit, in its period. */
  measure({ measure, comparison, periodSeconds }: Threshold): cloudwatch.IMetric {
    const period = Duration.seconds(periodSeconds);
    if (measure.kind === 'value') {
      return this.metric(measure.metric, { period });
    }
    const { part, whole, required, minimum } = measure;
    const otherwise = comparison === 'greaterThan' ? 0 : 100;
    const condition = `${required === part ? 'part' : 'whole'} >= ${minimum}`;
    return new cloudwatch.MathExpression({
      expression: `IF(${condition}, 100 * part / whole, ${otherwise})`,
      usingMetrics: { part: this.metric(part, { period }), whole: this.metric(whole, { period }) },
      label: `${part} of ${whole} (%)`,
      period,
    });
  }

  /** The limit of a threshold in this stage. */
  limit({ id, default: limit }: Threshold): number {
    return this.props.limits[id] ?? limit;
  }
}

/** The threshold with a name. */
export function thresholdOf(id: string): Threshold {
  const found = THRESHOLDS.find((threshold) => threshold.id === id);
  if (found === undefined) {
    throw new Error(`shared/telemetry/metrics.json has no threshold ${id}`);
  }
  return found;
}

export function namespaceOf(stage: string): string {
  return `Millrace/${stage}`;
}

/** The settings of the functions by which they write these metrics and know these limits. */
export function metricsEnvironment({ stage, monitoring, alarms }: Settings): Record<string, string> {
  const limits = Object.entries(alarms.thresholds).map(([id, limit]) => `${id}=${limit}`);
  return {
    ...(monitoring === 'full' ? { MILLRACE_METRICS_NAMESPACE: namespaceOf(stage) } : { MILLRACE_METRICS: 'log' }),
    ...(limits.length > 0 && { MILLRACE_THRESHOLDS: limits.join(',') }),
  };
}
