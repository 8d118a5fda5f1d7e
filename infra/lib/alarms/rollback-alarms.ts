// Alarms that only CodeDeploy watches, while it shifts traffic to a new version. They notify no
// operator, so their thresholds are lower than those of other alarms.
//
// Lambda counts the failed invocations of each version. Commands and requests that fail within an
// invocation are counted over both versions, of which the new one has a tenth of the traffic.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Api } from '../api.ts';
import type { DeployedFunction, Functions } from '../functions.ts';
import type { LogMetrics } from '../log-metrics.ts';
import type { FunctionName, Settings } from '../settings.ts';
import { type AlarmDefinition, createAlarm } from './definition.ts';

/**
 * The functions with a canary. The others are invoked once a minute or less, and a tenth of that
 * for five minutes shows nothing.
 */
const CANARY_FUNCTIONS = ['process-tasks', 'queue-api'] as const satisfies FunctionName[];
type CanaryFunction = (typeof CANARY_FUNCTIONS)[number];

/** Of both versions in a minute. If everything fails in the new version, that is 10 %. */
const FAILURE_PERCENT = 2;
/**
 * Fewer failures are no reason for a rollback: one message can fail and be redelivered in any
 * version.
 */
const MINIMUM_FAILURES = 5;

const RUNBOOK_SECTION = 'new-version-taken-back';
const { SUM } = cloudwatch.Stats;
const MINUTE = Duration.minutes(1);
const SUM_OF_A_MINUTE = { statistic: SUM, period: MINUTE };

/** Whether a new version of a function first gets a tenth of the traffic. */
export function isCanary(name: FunctionName, deployment: Settings['deployment']): boolean {
  return deployment === 'canary' && (CANARY_FUNCTIONS as readonly FunctionName[]).includes(name);
}

export interface RollbackAlarmsProps {
  prefix: string;
  deployment: Settings['deployment'];
  functions: Functions;
  api: Api;
  metrics: LogMetrics;
}

export class RollbackAlarms extends Construct {
  private readonly byFunction: Partial<Record<FunctionName, cloudwatch.Alarm[]>> = {};

  constructor(scope: Construct, id: string, props: RollbackAlarmsProps) {
    super(scope, id);
    const failures = failureAlarms(props);
    const canaries = CANARY_FUNCTIONS.filter((fn) => isCanary(fn, props.deployment));
    for (const name of canaries) {
      const definitions = [errorAlarm(name, props.functions.byName[name]), failures[name]];
      this.byFunction[name] = definitions.map((definition) => createAlarm(this, props.prefix, definition));
    }
  }

  /** Alarms on which CodeDeploy rolls back a new version of a function. */
  of(name: FunctionName): cloudwatch.Alarm[] {
    return this.byFunction[name] ?? [];
  }
}

function errorAlarm(name: CanaryFunction, deployed: DeployedFunction): AlarmDefinition {
  return {
    name: `${name}-new-version-errors`,
    metric: errorsOfNewVersion(deployed),
    threshold: 0,
    meaning: 'An invocation of the new version failed as a whole. CodeDeploy rolls the new version back.',
    runbook: RUNBOOK_SECTION,
  };
}

function failureAlarms({ api, metrics }: RollbackAlarmsProps): Record<CanaryFunction, AlarmDefinition> {
  const failedCommands = metrics.metric('failed', SUM, MINUTE);
  const receivedCommands = metrics.metric('received', SUM, MINUTE);
  const failedRequests = api.stage.metricServerError(SUM_OF_A_MINUTE);
  const requests = api.stage.metricCount(SUM_OF_A_MINUTE);
  return {
    'process-tasks': {
      name: 'process-tasks-new-version-failures',
      metric: failurePercentage(failedCommands, receivedCommands, 'failed commands (%)'),
      threshold: FAILURE_PERCENT,
      meaning: 'More than 2 % of the commands fail and are redelivered. CodeDeploy rolls the new version back.',
      runbook: RUNBOOK_SECTION,
    },
    'queue-api': {
      name: 'queue-api-new-version-failures',
      metric: failurePercentage(failedRequests, requests, 'failed requests (%)'),
      threshold: FAILURE_PERCENT,
      meaning: 'More than 2 % of the requests end with 500 or above. CodeDeploy rolls the new version back.',
      runbook: RUNBOOK_SECTION,
    },
  };
}

/** While an alias has two versions, Lambda publishes the errors of each. */
function errorsOfNewVersion({ function: fn, live }: DeployedFunction): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'AWS/Lambda',
    metricName: 'Errors',
    dimensionsMap: {
      FunctionName: fn.functionName,
      Resource: `${fn.functionName}:${live.aliasName}`,
      ExecutedVersion: live.version.version,
    },
    ...SUM_OF_A_MINUTE,
  });
}

/** The percentage of failures, or 0 where there are too few. */
function failurePercentage(
  failed: cloudwatch.IMetric,
  total: cloudwatch.IMetric,
  label: string,
): cloudwatch.MathExpression {
  return new cloudwatch.MathExpression({
    expression: `IF(failed >= ${MINIMUM_FAILURES}, 100 * failed / total, 0)`,
    usingMetrics: { failed, total },
    label,
    period: MINUTE,
  });
}
