// When a new version is taken back by itself. Only CodeDeploy looks at these alarms, and only while it moves an alias: they ring for
// less than what anybody would be called for.
//
// Invocations that fail are told by version. Commands and requests that fail within an invocation are not: their figures are those of
// both versions, of which the new one has a tenth.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Api } from './api.ts';
import type { DeployedFunction, Functions } from './functions.ts';
import type { LogMetrics } from './metrics.ts';
import type { FunctionName, Settings } from './settings.ts';

/** Functions with traffic enough to judge a version by. */
const BUSY = ['process-tasks', 'queue-api'] as const satisfies FunctionName[];

/** In a minute, of both versions. A new version that fails at everything fails at a tenth. */
const SHARE_PERCENT = 2;
/** So many at least: a message that fails and comes again is no fault of a new version. */
const LEAST = 5;

const { SUM } = cloudwatch.Stats;
const MINUTE = Duration.minutes(1);

/** Whether a new version of a function gets a tenth of the traffic first. The others are called once a minute or less: a tenth of
 *  that for five minutes shows nothing. */
export function isCanary(name: FunctionName, deployment: Settings['deployment']): boolean {
  return deployment === 'canary' && (BUSY as FunctionName[]).includes(name);
}

export interface RollbackAlarmsProps {
  prefix: string;
  deployment: Settings['deployment'];
  functions: Functions;
  api: Api;
  metrics: LogMetrics;
  /** What an alarm says of itself, and where to read on. */
  describe: (meaning: string, runbook: string) => string;
}

export class RollbackAlarms extends Construct {
  private readonly byFunction: Partial<Record<FunctionName, cloudwatch.Alarm[]>> = {};

  constructor(
    scope: Construct,
    id: string,
    private readonly props: RollbackAlarmsProps,
  ) {
    super(scope, id);
    const { api, metrics } = props;
    const metric = (name: string) =>
      api.api.metric(name, {
        statistic: SUM,
        period: MINUTE,
        dimensionsMap: { ApiId: api.api.apiId, Stage: api.stage.stageName },
      });
    const shares: Record<(typeof BUSY)[number], [cloudwatch.IMetric, string]> = {
      'process-tasks': [
        share(
          metrics.metric('failed', SUM, MINUTE),
          metrics.metric('received', SUM, MINUTE),
          'commands that failed (%)',
        ),
        'More than 2 % of the commands fail and come again.',
      ],
      'queue-api': [
        share(metric('5xx'), metric('Count'), 'requests that failed (%)'),
        'More than 2 % of the requests end with 500 and above.',
      ],
    };
    for (const name of BUSY.filter((name) => isCanary(name, props.deployment))) {
      const [metric, meaning] = shares[name];
      this.byFunction[name] = [
        this.alarm(
          `${name}-new-version-errors`,
          errorsOfNewVersion(props.functions.byName[name]),
          0,
          'The new version has failed at an invocation as a whole.',
        ),
        this.alarm(`${name}-new-version-failures`, metric, SHARE_PERCENT, meaning),
      ];
    }
  }

  of(name: FunctionName): cloudwatch.Alarm[] {
    return this.byFunction[name] ?? [];
  }

  private alarm(name: string, metric: cloudwatch.IMetric, threshold: number, meaning: string): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, name, {
      alarmName: `${this.props.prefix}${name}`,
      alarmDescription: this.props.describe(
        `${meaning} While it is deployed, it is taken back for this.`,
        'new-version-taken-back',
      ),
      metric,
      threshold,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 1,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }
}

/** Of the version that this deployment brings: Lambda tells versions apart where an alias shares its traffic out among two. */
function errorsOfNewVersion({ function: fn, live }: DeployedFunction): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'AWS/Lambda',
    metricName: 'Errors',
    dimensionsMap: {
      FunctionName: fn.functionName,
      Resource: `${fn.functionName}:${live.aliasName}`,
      ExecutedVersion: live.version.version,
    },
    statistic: SUM,
    period: MINUTE,
  });
}

/** Where too few failed to say anything, none did. */
function share(failed: cloudwatch.IMetric, all: cloudwatch.IMetric, label: string): cloudwatch.MathExpression {
  return new cloudwatch.MathExpression({
    expression: `IF(failed >= ${LEAST}, 100 * failed / total, 0)`,
    usingMetrics: { failed, total: all },
    label,
    period: MINUTE,
  });
}
