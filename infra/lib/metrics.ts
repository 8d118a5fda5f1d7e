// Figures that only the functions know, taken from the lines that they log: CloudWatch counts what a filter finds.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Functions } from './functions.ts';
import type { FunctionName } from './settings.ts';

/** What is read out of the one line that each invocation ends with (shared/service/src/log.rs and advance/answer.rs). */
interface LogMetric {
  /** As CloudWatch names it. */
  name: string;
  field: string;
  from: readonly Source[];
  unit: cloudwatch.Unit;
}

/** Whose lines, and by which message they are told from others. */
interface Source {
  function: FunctionName;
  message: string;
}

const PROCESSED: Source = { function: 'process-tasks', message: 'processed' };
const ADVANCED: Source = { function: 'advance-queues', message: 'advanced' };
const { COUNT, MILLISECONDS } = cloudwatch.Unit;

export const METRICS = {
  // A rate is made of these: an average of the rates of invocations would weigh small batches as much as large ones.
  cacheLookups: { name: 'CacheLookups', field: 'cache_lookups', from: [PROCESSED], unit: COUNT },
  cacheHits: { name: 'CacheHits', field: 'cache_hits', from: [PROCESSED], unit: COUNT },
  received: { name: 'CommandsReceived', field: 'received', from: [PROCESSED], unit: COUNT },
  applied: { name: 'CommandsApplied', field: 'applied', from: [PROCESSED], unit: COUNT },
  rejected: { name: 'CommandsRejected', field: 'rejected', from: [PROCESSED], unit: COUNT },
  malformed: { name: 'CommandsMalformed', field: 'malformed', from: [PROCESSED], unit: COUNT },
  failed: { name: 'CommandsFailed', field: 'failed', from: [PROCESSED], unit: COUNT },
  conflicts: { name: 'Conflicts', field: 'conflicts', from: [PROCESSED], unit: COUNT },
  // Whoever advances a queue sees how long after the end of a task that was.
  lateness: { name: 'Lateness', field: 'lateness_p99_ms', from: [PROCESSED, ADVANCED], unit: MILLISECONDS },
} satisfies Record<string, LogMetric>;

export type MetricName = keyof typeof METRICS;

export interface LogMetricsProps {
  stage: string;
  functions: Functions;
}

export class LogMetrics extends Construct {
  private readonly namespace: string;

  constructor(scope: Construct, id: string, props: LogMetricsProps) {
    super(scope, id);
    this.namespace = `Millrace/${props.stage}`;
    for (const [id, { name, field, from, unit }] of Object.entries(METRICS)) {
      for (const source of from) {
        new logs.MetricFilter(this, `${id}-${source.function}`, {
          logGroup: props.functions.byName[source.function].logGroup,
          // The lateness of nothing is null and no zero.
          filterPattern: logs.FilterPattern.all(
            logs.FilterPattern.stringValue('$.message', '=', source.message),
            logs.FilterPattern.numberValue(`$.${field}`, '>=', 0),
          ),
          metricNamespace: this.namespace,
          metricName: name,
          metricValue: `$.${field}`,
          unit,
        });
      }
    }
  }

  /** Of lookups of queues, 0 to 1. Where there are fewer than `least` it says nothing, and is 1. */
  hitRate(least: number): cloudwatch.MathExpression {
    return new cloudwatch.MathExpression({
      expression: `IF(lookups >= ${least}, hits / lookups, 1)`,
      usingMetrics: {
        hits: this.metric('cacheHits', cloudwatch.Stats.SUM),
        lookups: this.metric('cacheLookups', cloudwatch.Stats.SUM),
      },
      label: 'hit rate',
      period: Duration.minutes(5),
    });
  }

  metric(name: MetricName, statistic: string, period = Duration.minutes(5)): cloudwatch.Metric {
    return new cloudwatch.Metric({ namespace: this.namespace, metricName: METRICS[name].name, statistic, period });
  }
}
