// The schedules that invoke advance-queues and maintain-cache.

import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import * as targets from 'aws-cdk-lib/aws-scheduler-targets';
import { Construct } from 'constructs';
import { idOf } from './construct-ids.ts';
import type { Functions } from './functions.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL, WATCH_INTERVAL } from './intervals.ts';
import type { Queues } from './queues.ts';
import type { FunctionName } from './settings.ts';

export interface SchedulesProps {
  prefix: string;
  functions: Functions;
  queues: Queues;
  /** Whether maintain-cache watches thresholds, because advance-queues does not reach the cache. */
  watchesThresholds: boolean;
}

export class Schedules extends Construct {
  readonly group: scheduler.ScheduleGroup;

  constructor(scope: Construct, id: string, props: SchedulesProps) {
    super(scope, id);
    this.group = new scheduler.ScheduleGroup(this, 'Group', {
      scheduleGroupName: `${props.prefix}schedules`,
      // A group that is kept would block the next deployment of the stage by its name.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const addSchedule = (name: string, interval: Duration, target: FunctionName, input: object) =>
      new scheduler.Schedule(this, idOf(name), {
        scheduleName: name,
        scheduleGroup: this.group,
        schedule: scheduler.ScheduleExpression.rate(interval),
        target: new targets.LambdaInvoke(props.functions.byName[target].live, {
          input: scheduler.ScheduleTargetInput.fromObject(input),
          deadLetterQueue: props.queues.undelivered,
          // A later retry is pointless: the next scheduled invocation does the same work.
          maxEventAge: interval,
          retryAttempts: 1,
        }),
      });
    addSchedule('advance-queues', ADVANCE_INTERVAL, 'advance-queues', {});
    addSchedule('upkeep', UPKEEP_INTERVAL, 'maintain-cache', { action: 'upkeep' });
    if (props.watchesThresholds) {
      addSchedule('watch-thresholds', WATCH_INTERVAL, 'maintain-cache', { action: 'watchThresholds' });
    }
  }
}
