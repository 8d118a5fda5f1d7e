// Alarms on waiting messages and dead letters.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import type { QueueName, Queues, QueueWithDeadLetters } from '../queues.ts';
import type { AlarmDefinition } from './definition.ts';

const MAXIMUM_OF_A_MINUTE = { statistic: cloudwatch.Stats.MAXIMUM, period: Duration.minutes(1) };
const MAXIMUM_OF_FIVE_MINUTES = { statistic: cloudwatch.Stats.MAXIMUM, period: Duration.minutes(5) };

/** Queues for messages of players, which should not become dead letters. */
const BASIC_QUEUES: QueueName[] = ['commands', 'progress'];

export interface QueueAlarmsProps {
  queues: Queues;
  maximumAgeSeconds: number;
  /** Whether advance-queues sends ticks. Otherwise the queue of ticks is always empty. */
  hasTicks: boolean;
}

export function queueAlarms({ queues, maximumAgeSeconds, hasTicks }: QueueAlarmsProps): AlarmDefinition[] {
  const used = queues.all.filter(([name]) => hasTicks || name !== 'ticks');
  // Consumers outside of this stack receive events. The queues of players advance without them.
  const ofPlayers = used.filter(([name]) => name !== 'events').map(([, { deadLetters }]) => deadLetters);
  return [
    ...used.flatMap(([name, queue]) => alarmsOfQueue(name, queue, maximumAgeSeconds)),
    {
      name: 'undelivered',
      metric: queues.undelivered.metricApproximateNumberOfMessagesVisible(MAXIMUM_OF_A_MINUTE),
      threshold: 0,
      meaning: 'Events of a schedule, the event bus or an asynchronous invocation failed. They are kept for 14 days.',
      runbook: 'undelivered',
      isBasic: true,
    },
    growthAlarm([...ofPlayers, queues.undelivered]),
  ];
}

function alarmsOfQueue(
  name: QueueName,
  { queue, deadLetters }: QueueWithDeadLetters,
  maximumAgeSeconds: number,
): AlarmDefinition[] {
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
      isBasic: BASIC_QUEUES.includes(name),
    },
  ];
}

/**
 * The other alarms last until the last dead letter is removed. This one ends a quarter of an hour
 * after the last new one, so that it does not hide what happens next. SQS counts no messages that
 * it moves, so the growth of the queues shows them. Messages that an operator looks at are hidden
 * for a while, and still counted.
 */
function growthAlarm(queues: sqs.Queue[]): AlarmDefinition {
  const metrics = queues.flatMap((queue) => [
    queue.metricApproximateNumberOfMessagesVisible(MAXIMUM_OF_FIVE_MINUTES),
    queue.metricApproximateNumberOfMessagesNotVisible(MAXIMUM_OF_FIVE_MINUTES),
  ]);
  const usingMetrics = Object.fromEntries(metrics.map((metric, index) => [`m${index + 1}`, metric]));
  // A queue that was unused for hours has no data.
  const filled = Object.keys(usingMetrics).map((name) => `FILL(${name}, 0)`);
  return {
    name: 'dead-letters-growing',
    metric: new cloudwatch.MathExpression({
      expression: `DIFF(SUM([${filled.join(', ')}]))`,
      usingMetrics,
      label: 'new dead letters',
      period: MAXIMUM_OF_FIVE_MINUTES.period,
    }),
    threshold: 0,
    datapoints: [1, 3],
    meaning: 'Messages have failed repeatedly in the last quarter of an hour, and were set aside.',
    runbook: 'dead-letters',
    affectsPlayers: true,
  };
}
