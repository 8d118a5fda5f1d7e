// Metrics that CloudWatch extracts from the logs of the functions. Each invocation ends with one
// line of numbers: the message `processed` of process-tasks, `advanced` of advance-queues.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Functions } from './functions.ts';
import type { FunctionName } from './settings.ts';

/** The log lines of a function that have a certain message. */
interface LogSource {
  function: FunctionName;
  message: string;
}

interface LogMetric {
  /** Name of the metric in CloudWatch. */
  name: string;
  /** Field of the log line that has the value. */
  field: string;
  sources: readonly LogSource[];
  unit: cloudwatch.Unit;
}

const PROCESSED: LogSource = { function: 'process-tasks', message: 'processed' };
const ADVANCED: LogSource = { function: 'advance-queues', message: 'advanced' };
const { COUNT, MILLISECONDS } = cloudwatch.Unit;

export const LOG_METRICS = {
  // The hit rate is computed from both: an average of the hit rates of invocations would give small
  // batches the same weight as large ones.
  cacheLookups: { name: 'CacheLookups', field: 'cache_lookups', sources: [PROCESSED], unit: COUNT },
  cacheHits: { name: 'CacheHits', field: 'cache_hits', sources: [PROCESSED], unit: COUNT },
  received: { name: 'CommandsReceived', field: 'received', sources: [PROCESSED], unit: COUNT },
  applied: { name: 'CommandsApplied', field: 'applied', sources: [PROCESSED], unit: COUNT },
  rejected: { name: 'CommandsRejected', field: 'rejected', sources: [PROCESSED], unit: COUNT },
  malformed: { name: 'CommandsMalformed', field: 'malformed', sources: [PROCESSED], unit: COUNT },
  failed: { name: 'CommandsFailed', field: 'failed', sources: [PROCESSED], unit: COUNT },
  conflicts: { name: 'Conflicts', field: 'conflicts', sources: [PROCESSED], unit: COUNT },
  // Both functions publish the events of the queues that they advance.
  eventsFailed: { name: 'EventsFailed', field: 'events_failed', sources: [PROCESSED, ADVANCED], unit: COUNT },
  // Both functions advance queues: advance-queues does so where there is no ticks queue.
  lateness: { name: 'Lateness', field: 'lateness_p99_ms', sources: [PROCESSED, ADVANCED], unit: MILLISECONDS },
} satisfies Record<string, LogMetric>;

export type LogMetricName = keyof typeof LOG_METRICS;

export interface LogMetricsProps {
  stage: string;
  functions: Functions;
}

export class LogMetrics extends Construct {
  private readonly namespace: string;

  constructor(scope: Construct, id: string, props: LogMetricsProps) {
    super(scope, id);
    this.namespace = `Millrace/${props.stage}`;
    for (const [key, metric] of Object.entries(LOG_METRICS)) {
      for (const source of metric.sources) {
        this.addFilter(`${key}-${source.function}`, metric, source, props.functions);
      }
    }
  }

  private addFilter(id: string, { name, field, unit }: LogMetric, source: LogSource, functions: Functions): void {
    new logs.MetricFilter(this, id, {
      logGroup: functions.byName[source.function].logGroup,
      filterPattern: logs.FilterPattern.all(
        logs.FilterPattern.stringValue('$.message', '=', source.message),
        // Leaves out null: an invocation that completed nothing has no lateness.
        logs.FilterPattern.numberValue(`$.${field}`, '>=', 0),
      ),
      metricNamespace: this.namespace,
      metricName: name,
      metricValue: `$.${field}`,
      unit,
    });
  }

  /**
   * The share of cache lookups that were hits, 0 to 1. With fewer lookups than `minimumLookups` it
   * is 1.
   */
  hitRate(minimumLookups: number): cloudwatch.MathExpression {
    return new cloudwatch.MathExpression({
      expression: `IF(lookups >= ${minimumLookups}, hits / lookups, 1)`,
      usingMetrics: {
        hits: this.metric('cacheHits', cloudwatch.Stats.SUM),
        lookups: this.metric('cacheLookups', cloudwatch.Stats.SUM),
      },
      label: 'hit rate',
      period: Duration.minutes(5),
    });
  }

  metric(name: LogMetricName, statistic: string, period = Duration.minutes(5)): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: this.namespace,
      metricName: LOG_METRICS[name].name,
      statistic,
      period,
    });
  }
}
