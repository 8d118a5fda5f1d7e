// Alarms on the invocations of the functions.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { DeployedFunction, Functions } from '../functions.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL } from '../intervals.ts';
import type { FunctionName } from '../settings.ts';
import type { AlarmDefinition } from './definition.ts';

const { GREATER_THAN_OR_EQUAL_TO_THRESHOLD, LESS_THAN_THRESHOLD } = cloudwatch.ComparisonOperator;

/**
 * When the errors of a function are more than a single mishap. That depends on how often it is
 * invoked.
 */
interface Sensitivity {
  period: Duration;
  /** The number of errors in a period that breaches the threshold. */
  minimumErrors: number;
  datapoints: [number, number];
}

const SENSITIVITY: Record<FunctionName, Sensitivity> = {
  'process-tasks': { period: Duration.minutes(1), minimumErrors: 3, datapoints: [2, 3] },
  'queue-api': { period: Duration.minutes(1), minimumErrors: 3, datapoints: [2, 3] },
  'advance-queues': { period: ADVANCE_INTERVAL, minimumErrors: 1, datapoints: [3, 5] },
  'maintain-cache': { period: UPKEEP_INTERVAL, minimumErrors: 1, datapoints: [2, 2] },
};

/** The share of the time-out above which an invocation is slow. */
const SLOW_SHARE = 0.8;

/** The share of the account's concurrency above which the alarm warns. */
const USED_SHARE = 0.8;

export function functionAlarms(functions: Functions, accountConcurrency: number): AlarmDefinition[] {
  return [
    ...functions.all.flatMap(([name, deployed]) => invocationAlarms(name, deployed)),
    silentScheduleAlarm(functions.byName['advance-queues']),
    accountConcurrencyAlarm(accountConcurrency),
  ];
}

/**
 * Counts reserved and provisioned concurrency as used, as Lambda does before it throttles.
 */
function accountConcurrencyAlarm(accountConcurrency: number): AlarmDefinition {
  return {
    name: 'account-concurrency',
    metric: lambda.Function.metricAll('ClaimedAccountConcurrency', {
      statistic: cloudwatch.Stats.MAXIMUM,
      period: Duration.minutes(1),
    }),
    threshold: USED_SHARE * accountConcurrency,
    datapoints: [3, 5],
    meaning: 'The functions of the account use more than 80 % of its concurrency. Above 100 %, Lambda throttles them.',
    runbook: 'function-throttles',
  };
}

function invocationAlarms(name: FunctionName, { live, timeout }: DeployedFunction): AlarmDefinition[] {
  const { period, minimumErrors, datapoints } = SENSITIVITY[name];
  // Players do not wait for upkeep.
  const affectsPlayers = name !== 'maintain-cache';
  return [
    {
      name: `${name}-errors`,
      metric: live.metricErrors({ statistic: cloudwatch.Stats.SUM, period }),
      threshold: minimumErrors,
      comparison: GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      datapoints,
      meaning: `Invocations of ${name} fail as a whole: the function does not start, times out or refuses its event.`,
      runbook: 'function-errors',
      affectsPlayers,
      isBasic: name === 'process-tasks',
      rollsBack: name,
    },
    {
      name: `${name}-throttles`,
      metric: live.metricThrottles({ statistic: cloudwatch.Stats.SUM, period }),
      threshold: 0,
      datapoints,
      meaning: `Lambda throttles invocations of ${name}: the account has reached its concurrency limit.`,
      runbook: 'function-throttles',
      affectsPlayers,
    },
    {
      name: `${name}-duration`,
      metric: live.metricDuration({ statistic: cloudwatch.Stats.p(95), period }),
      threshold: timeout.toMilliseconds() * SLOW_SHARE,
      datapoints,
      meaning: `5 % of the invocations of ${name} take more than 80 % of its time-out. Some may soon time out.`,
      runbook: 'function-duration',
      rollsBack: name,
    },
  ];
}

/**
 * A function that is never invoked has no errors, so missing data has to breach the threshold here.
 */
function silentScheduleAlarm({ live }: DeployedFunction): AlarmDefinition {
  return {
    name: 'advance-queues-silent',
    metric: live.metricInvocations({ statistic: cloudwatch.Stats.SUM, period: Duration.minutes(5) }),
    threshold: 1,
    comparison: LESS_THAN_THRESHOLD,
    missingData: cloudwatch.TreatMissingData.BREACHING,
    meaning: 'The schedule has not invoked advance-queues for five minutes. Queues without commands do not advance.',
    runbook: 'schedule-silent',
    affectsPlayers: true,
  };
}
