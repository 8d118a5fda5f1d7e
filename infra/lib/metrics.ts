// Figures that only the functions know, taken from the lines that they log: CloudWatch counts what a filter finds.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Functions } from './functions.ts';
import type { FunctionName } from './settings.ts';

/** What is read out of the one line that each invocation ends with. */
interface LogMetric {
  /** As CloudWatch names it. */
  name: string;
  /** The message of the line, and the field of it. */
  message: string;
  field: string;
  from: FunctionName[];
  unit: cloudwatch.Unit;
}

/** The line of the pipeline (shared/service/src/log.rs). */
const PROCESSED = 'processed';

export const METRICS = {
  hitRate: {
    name: 'CacheHitRate', message: PROCESSED, field: 'hit_rate',
    from: ['process-tasks'], unit: cloudwatch.Unit.NONE,
  },
  applied: {
    name: 'CommandsApplied', message: PROCESSED, field: 'applied',
    from: ['process-tasks'], unit: cloudwatch.Unit.COUNT,
  },
  rejected: {
    name: 'CommandsRejected', message: PROCESSED, field: 'rejected',
    from: ['process-tasks'], unit: cloudwatch.Unit.COUNT,
  },
  malformed: {
    name: 'CommandsMalformed', message: PROCESSED, field: 'malformed',
    from: ['process-tasks'], unit: cloudwatch.Unit.COUNT,
  },
  failed: {
    name: 'CommandsFailed', message: PROCESSED, field: 'failed',
    from: ['process-tasks'], unit: cloudwatch.Unit.COUNT,
  },
  conflicts: {
    name: 'Conflicts', message: PROCESSED, field: 'conflicts',
    from: ['process-tasks'], unit: cloudwatch.Unit.COUNT,
  },
  lateness: {
    name: 'Lateness', message: 'advanced', field: 'lateness_ms',
    from: ['advance-queues'], unit: cloudwatch.Unit.MILLISECONDS,
  },
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
    for (const [id, { name, message, field, from, unit }] of Object.entries(METRICS)) {
      for (const source of from) {
        new logs.MetricFilter(this, `${id}-${source}`, {
          logGroup: props.functions.byName[source].logGroup,
          // A line without the field, such as a rate where nothing was looked up, is no zero.
          filterPattern: logs.FilterPattern.all(
            logs.FilterPattern.stringValue('$.message', '=', message),
            logs.FilterPattern.exists(`$.${field}`),
          ),
          metricNamespace: this.namespace,
          metricName: name,
          metricValue: `$.${field}`,
          unit,
        });
      }
    }
  }

  metric(name: MetricName, statistic: string, period = Duration.minutes(5)): cloudwatch.Metric {
    return new cloudwatch.Metric({ namespace: this.namespace, metricName: METRICS[name].name, statistic, period });
  }
}
