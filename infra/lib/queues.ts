// The SQS queues, each with its dead-letter queue, and the event bus.

import { Duration, Validations } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { removalPolicyOf, type Settings } from './settings.ts';

/** Retention of messages and of dead letters: the maximum of SQS. */
const RETENTION = Duration.days(14);
/**
 * Ticks are short-lived: the next run of advance-queues finds again what is due, so after an outage
 * older ticks would only be duplicates.
 */
const TICKS_RETENTION = Duration.hours(1);

/** Properties of a FIFO queue and of its dead-letter queue. */
const FIFO = {
  fifo: true,
  // Two equal commands without a commandId are two commands: the sender sets the deduplication id.
  contentBasedDeduplication: false,
  deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
  fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
};

export interface QueuesProps {
  prefix: string;
  settings: Settings['queues'];
  /** The time-out of the function that receives the messages. */
  functionTimeoutSeconds: number;
  keepData: boolean;
}

export interface QueueWithDeadLetters {
  queue: sqs.Queue;
  deadLetters: sqs.Queue;
}

export type QueueName = 'commands' | 'progress' | 'ticks';

export class Queues extends Construct {
  readonly byName: Record<QueueName, QueueWithDeadLetters>;
  /** Failed deliveries of the schedules, the event bus and asynchronous invocations. */
  readonly undelivered: sqs.Queue;
  readonly bus: events.EventBus;
  private readonly common: sqs.QueueProps;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: QueuesProps,
  ) {
    super(scope, id);
    this.common = {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: RETENTION,
      removalPolicy: removalPolicyOf(props),
    };
    this.byName = {
      commands: this.addQueue('commands'),
      progress: this.addQueue('progress'),
      ticks: this.addQueue('ticks'),
    };
    this.undelivered = new sqs.Queue(this, 'undelivered', {
      ...this.common,
      queueName: `${props.prefix}undelivered`,
    });
    Validations.of(this.undelivered).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'This queue is a dead-letter queue. The rule recognizes only those of other queues.',
    });
    this.bus = new events.EventBus(this, 'Bus', { eventBusName: `${props.prefix}bus` });
  }

  get all(): [QueueName, QueueWithDeadLetters][] {
    return Object.entries(this.byName) as [QueueName, QueueWithDeadLetters][];
  }

  private addQueue(name: QueueName): QueueWithDeadLetters {
    const { prefix, settings, functionTimeoutSeconds } = this.props;
    const isFifo = name === 'commands';
    const suffix = isFifo ? '.fifo' : '';
    const kind = isFifo ? FIFO : {};
    const deadLetters = new sqs.Queue(this, `${name}-dead-letters`, {
      ...this.common,
      ...kind,
      queueName: `${prefix}${name}-dead-letters${suffix}`,
    });
    const queue = new sqs.Queue(this, name, {
      ...this.common,
      ...kind,
      ...(name === 'ticks' && { retentionPeriod: TICKS_RETENTION }),
      queueName: `${prefix}${name}${suffix}`,
      // AWS recommends six times the time-out of the function. That leaves time for the retries of
      // Lambda when it is throttled.
      visibilityTimeout: Duration.seconds(6 * functionTimeoutSeconds),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: settings[name].maxReceiveCount },
    });
    return { queue, deadLetters };
  }
}
