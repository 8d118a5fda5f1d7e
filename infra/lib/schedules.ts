// What happens by the clock.

import type { Duration } from 'aws-cdk-lib';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import * as targets from 'aws-cdk-lib/aws-scheduler-targets';
import { Construct } from 'constructs';
import type { Functions } from './functions.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL } from './intervals.ts';
import type { Queues } from './queues.ts';

export interface SchedulesProps {
  prefix: string;
  functions: Functions;
  queues: Queues;
}

export class Schedules extends Construct {
  constructor(scope: Construct, id: string, props: SchedulesProps) {
    super(scope, id);
    const group = new scheduler.ScheduleGroup(this, 'Group', { scheduleGroupName: `${props.prefix}schedules` });
    const every = (name: string, interval: Duration, target: keyof Functions['byName'], input: object) =>
      new scheduler.Schedule(this, name, {
        scheduleName: name,
        scheduleGroup: group,
        schedule: scheduler.ScheduleExpression.rate(interval),
        target: new targets.LambdaInvoke(props.functions.byName[target].live, {
          input: scheduler.ScheduleTargetInput.fromObject(input),
          deadLetterQueue: props.queues.undelivered,
          // The next one comes soon enough.
          maxEventAge: interval,
          retryAttempts: 1,
        }),
      });
    every('advance-queues', ADVANCE_INTERVAL, 'advance-queues', {});
    every('upkeep', UPKEEP_INTERVAL, 'maintain-cache', { action: 'upkeep' });
  }
}
