// Alarms that only CodeDeploy watches, while it shifts traffic to a new version. They notify no
// operator, so their thresholds are lower than those of other alarms.
//
// Lambda counts the failed invocations of each version. Commands and requests that fail within an
// invocation are counted over both versions, of which the new one has a tenth of the traffic.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { DeployedFunction, Functions } from '../functions.ts';
import { type ServiceMetrics, thresholdOf } from '../metrics.ts';
import type { FunctionName, Settings } from '../settings.ts';
import { type AlarmDefinition, createAlarm } from './definition.ts';
import { thresholdAlarm } from './threshold-alarms.ts';

/**
 * The functions with a canary. The others are invoked once a minute or less, and a tenth of that
 * for five minutes shows nothing.
 */
const CANARY_FUNCTIONS = ['process-tasks', 'queue-api'] as const satisfies FunctionName[];
type CanaryFunction = (typeof CANARY_FUNCTIONS)[number];

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
  metrics: ServiceMetrics;
}

export class RollbackAlarms extends Construct {
  private readonly byFunction: Partial<Record<FunctionName, cloudwatch.Alarm[]>> = {};

  constructor(scope: Construct, id: string, props: RollbackAlarmsProps) {
    super(scope, id);
    const canaries = CANARY_FUNCTIONS.filter((fn) => isCanary(fn, props.deployment));
    for (const name of canaries) {
      const definitions = [
        errorAlarm(name, props.functions.byName[name]),
        thresholdAlarm(props.metrics, thresholdOf(`${name}-new-version-failures`)),
      ];
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
