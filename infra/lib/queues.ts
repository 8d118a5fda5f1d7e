// The SQS queues, each with its dead-letter queue, and the event bus.

import { Duration, Validations } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { idOf } from './construct-ids.ts';
import { removalPolicyOf, type Settings } from './settings.ts';

/** Retention of messages and of dead letters: the maximum of SQS. */
const RETENTION = Duration.days(14);
/**
 * Ticks are short-lived: the next run of advance-queues finds again what is due, so after an outage
 * older ticks would only be duplicates.
 */
const TICKS_RETENTION = Duration.hours(1);

/** Six times the time-out of a consumer that has half a minute, as AWS recommends. */
const EVENTS_VISIBILITY_TIMEOUT = Duration.minutes(3);
const EVENTS_MAX_RECEIVE_COUNT = 5;

/** Properties of a FIFO queue and of its dead-letter queue. */
const FIFO = {
  fifo: true,
  // Two equal commands without a commandId are two commands: the sender sets the deduplication id.
  // That of an event is its eventId.
  contentBasedDeduplication: false,
  deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
  fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
};

export interface QueuesProps {
  busName: string;
  settings: Settings['queues'];
  /** The time-out of the function that receives the messages. */
  functionTimeoutSeconds: number;
  /** Creates the queue that functions publish events to. */
  hasEventsQueue: boolean;
  keepData: boolean;
}

export interface QueueWithDeadLetters {
  queue: sqs.Queue;
  deadLetters: sqs.Queue;
}

/** The queues that process-tasks receives messages from. */
export type InputQueueName = 'commands' | 'progress' | 'ticks';
/** `events` is received by programs outside of this stack. */
export type QueueName = InputQueueName | 'events';

interface QueueOptions {
  isFifo: boolean;
  retention?: Duration;
  visibilityTimeout: Duration;
  maxReceiveCount: number;
}

export class Queues extends Construct {
  readonly byName: Record<InputQueueName, QueueWithDeadLetters>;
  readonly events: QueueWithDeadLetters | undefined;
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
      commands: this.addInputQueue('commands', { isFifo: true }),
      progress: this.addInputQueue('progress', { isFifo: false }),
      ticks: this.addInputQueue('ticks', { isFifo: false, retention: TICKS_RETENTION }),
    };
    this.events = props.hasEventsQueue
      ? this.addQueue('events', {
          isFifo: true,
          visibilityTimeout: EVENTS_VISIBILITY_TIMEOUT,
          maxReceiveCount: EVENTS_MAX_RECEIVE_COUNT,
        })
      : undefined;
    this.undelivered = new sqs.Queue(this, 'Undelivered', this.common);
    Validations.of(this.undelivered).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'This queue is a dead-letter queue. The rule recognizes only those of other queues.',
    });
    this.bus = new events.EventBus(this, 'Bus', { eventBusName: props.busName });
  }

  get all(): [QueueName, QueueWithDeadLetters][] {
    const inputs = Object.entries(this.byName) as [InputQueueName, QueueWithDeadLetters][];
    return this.events === undefined ? inputs : [...inputs, ['events', this.events]];
  }

  /** The queues whose depth the HTTP API shows: all of them. */
  get monitored(): sqs.Queue[] {
    return [...this.all.flatMap(([, { queue, deadLetters }]) => [queue, deadLetters]), this.undelivered];
  }

  private addInputQueue(name: InputQueueName, kind: Pick<QueueOptions, 'isFifo' | 'retention'>): QueueWithDeadLetters {
    const { settings, functionTimeoutSeconds } = this.props;
    return this.addQueue(name, {
      ...kind,
      // AWS recommends six times the time-out of the function. That leaves time for the retries of
      // Lambda when it is throttled.
      visibilityTimeout: Duration.seconds(6 * functionTimeoutSeconds),
      maxReceiveCount: settings[name].maxReceiveCount,
    });
  }

  private addQueue(name: QueueName, options: QueueOptions): QueueWithDeadLetters {
    const { isFifo, retention, visibilityTimeout, maxReceiveCount } = options;
    const kind = isFifo ? FIFO : {};
    const deadLetters = new sqs.Queue(this, idOf(`${name}-dead-letters`), {
      ...this.common,
      ...kind,
    });
    const queue = new sqs.Queue(this, idOf(name), {
      ...this.common,
      ...kind,
      ...(retention !== undefined && { retentionPeriod: retention }),
      visibilityTimeout,
      deadLetterQueue: { queue: deadLetters, maxReceiveCount },
    });
    return { queue, deadLetters };
  }
}
