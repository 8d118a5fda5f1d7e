// Alarms on what is lost on its way: events that could not be set aside, and notifications.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as events from 'aws-cdk-lib/aws-events';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { combinedMetric } from '../aws-metrics.ts';
import type { Functions } from '../functions.ts';
import type { Queues } from '../queues.ts';
import type { Schedules } from '../schedules.ts';
import type { FunctionName } from '../settings.ts';
import type { AlarmDefinition } from './definition.ts';

const SUM = { statistic: cloudwatch.Stats.SUM, period: Duration.minutes(5) };

/** The functions that the bus and the schedules invoke, which is asynchronous. */
const ASYNCHRONOUS: FunctionName[] = ['process-tasks', 'advance-queues', 'maintain-cache'];

export interface DeliveryAlarmsProps {
  functions: Functions;
  schedules: Schedules;
  queues: Queues;
  commandRule: events.Rule;
  topics: sns.Topic[];
}

export function deliveryAlarms(props: DeliveryAlarmsProps): AlarmDefinition[] {
  const ofFunctions = (metricName: string) =>
    ASYNCHRONOUS.map((name) => props.functions.byName[name].function.metric(metricName, SUM));
  return [
    {
      name: 'async-events-dropped',
      metric: combinedMetric('SUM', ofFunctions('AsyncEventsDropped'), 'dropped'),
      threshold: 0,
      meaning: 'Lambda gave up events of the bus, of schedules or of asynchronous calls. They should be undelivered.',
      runbook: 'undelivered',
    },
    {
      name: 'undelivered-lost',
      metric: combinedMetric(
        'SUM',
        [...ofFunctions('DestinationDeliveryFailures'), failuresOfSchedules(props), failuresOfRule(props)],
        'lost',
      ),
      threshold: 0,
      meaning: 'Failed events could not be sent to the queue of undelivered events. They are lost.',
      runbook: 'lost-events',
      affectsPlayers: true,
    },
    {
      name: 'notifications-failed',
      metric: combinedMetric(
        'SUM',
        props.topics.map((topic) => topic.metricNumberOfNotificationsFailed(SUM)),
        'failed',
      ),
      threshold: 0,
      meaning: 'Notifications of alarms could not be delivered to a subscriber.',
      runbook: 'notifications-failed',
      notifiesAll: true,
    },
  ];
}

function failuresOfSchedules({ schedules }: DeliveryAlarmsProps): cloudwatch.Metric {
  return schedules.group.metricFailedToBeSentToDLQ(undefined, SUM);
}

function failuresOfRule({ commandRule, queues }: DeliveryAlarmsProps): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'AWS/Events',
    metricName: 'InvocationsFailedToBeSentToDlq',
    dimensionsMap: { EventBusName: queues.bus.eventBusName, RuleName: commandRule.ruleName },
    ...SUM,
  });
}
