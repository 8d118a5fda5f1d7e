// Alarms on waiting messages, dead letters and undelivered events.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { QueueName, Queues, QueueWithDeadLetters } from '../queues.ts';
import type { AlarmDefinition } from './definition.ts';

const MAXIMUM_OF_A_MINUTE = { statistic: cloudwatch.Stats.MAXIMUM, period: Duration.minutes(1) };

export function queueAlarms(queues: Queues, maximumAgeSeconds: number): AlarmDefinition[] {
  return [
    ...queues.all.flatMap(([name, queue]) => alarmsOfQueue(name, queue, maximumAgeSeconds)),
    {
      name: 'undelivered',
      metric: queues.undelivered.metricApproximateNumberOfMessagesVisible(MAXIMUM_OF_A_MINUTE),
      threshold: 0,
      meaning: 'Events of a schedule, the event bus or an asynchronous invocation failed. They are kept for 14 days.',
      runbook: 'undelivered',
      affectsPlayers: true,
    },
  ];
}

function alarmsOfQueue(
  name: QueueName,
  { queue, deadLetters }: QueueWithDeadLetters,
  maximumAgeSeconds: number,
): AlarmDefinition[] {
  // Consumers outside of this stack receive events. The queues of players advance without them.
  const isInput = name !== 'events';
  return [
    {
      name: `${name}-age`,
      metric: queue.metricApproximateAgeOfOldestMessage(MAXIMUM_OF_A_MINUTE),
      threshold: maximumAgeSeconds,
      datapoints: [3, 3],
      meaning: `Messages wait in the ${name} queue for minutes: too many arrive, or they fail and are redelivered.`,
      runbook: isInput ? 'queue-age' : 'events-queue',
      affectsPlayers: isInput,
    },
    {
      name: `${name}-dead-letters`,
      metric: deadLetters.metricApproximateNumberOfMessagesVisible(MAXIMUM_OF_A_MINUTE),
      threshold: 0,
      meaning: `Messages of the ${name} queue failed repeatedly. Its dead-letter queue keeps them for 14 days.`,
      runbook: isInput ? 'dead-letters' : 'events-queue',
      affectsPlayers: isInput,
    },
  ];
}
