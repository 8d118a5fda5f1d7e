// The queues, each with its dead-letter queue, and the event bus.

import { Duration, Validations } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { removalPolicyOf, type Settings } from './settings.ts';

/** How long messages wait at most, and how long dead ones are kept: as long as SQS keeps any. */
const RETENTION = Duration.days(14);
/** What is due is found again every minute: ticks of an outage would come twice and more often. */
const TICKS_RETENTION = Duration.hours(1);

export interface QueuesProps {
  prefix: string;
  settings: Settings['queues'];
  /** The time-out of the function that takes from these queues. */
  functionTimeoutSeconds: number;
  keepData: boolean;
}

/** A queue and where its messages end that could not be processed. */
export interface QueueWithDeadLetters {
  queue: sqs.Queue;
  deadLetters: sqs.Queue;
}

export type QueueName = 'commands' | 'progress' | 'ticks';

export class Queues extends Construct {
  readonly byName: Record<QueueName, QueueWithDeadLetters>;
  /** What a schedule, the event bus or an asynchronous call could not deliver. */
  readonly undelivered: sqs.Queue;
  readonly bus: events.EventBus;

  constructor(scope: Construct, id: string, props: QueuesProps) {
    super(scope, id);
    const removalPolicy = removalPolicyOf(props);
    const common = {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: RETENTION,
      removalPolicy,
    };
    // As AWS advises: time for the retries of Lambda itself, when it is throttled, before the message shows again.
    const visibilityTimeout = Duration.seconds(6 * props.functionTimeoutSeconds);

    const fifo = {
      fifo: true,
      // Two equal commands without ids are two commands. Who sends must say what is a repetition.
      contentBasedDeduplication: false,
      deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
    };
    const pair = (name: QueueName, ordered: boolean): QueueWithDeadLetters => {
      const suffix = ordered ? '.fifo' : '';
      const kind = ordered ? fifo : {};
      const deadLetters = new sqs.Queue(this, `${name}-dead-letters`, {
        ...common,
        ...kind,
        queueName: `${props.prefix}${name}-dead-letters${suffix}`,
      });
      const queue = new sqs.Queue(this, name, {
        ...common,
        ...kind,
        ...(name === 'ticks' && { retentionPeriod: TICKS_RETENTION }),
        queueName: `${props.prefix}${name}${suffix}`,
        visibilityTimeout,
        deadLetterQueue: { queue: deadLetters, maxReceiveCount: props.settings[name].maxReceiveCount },
      });
      return { queue, deadLetters };
    };
    this.byName = { commands: pair('commands', true), progress: pair('progress', false), ticks: pair('ticks', false) };
    this.undelivered = new sqs.Queue(this, 'undelivered', { ...common, queueName: `${props.prefix}undelivered` });
    Validations.of(this.undelivered).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason:
        'It is itself where what could not be delivered ends. The rule sees only the queues that other queues name.',
    });
    this.bus = new events.EventBus(this, 'Bus', { eventBusName: `${props.prefix}bus` });
  }

  get all(): [QueueName, QueueWithDeadLetters][] {
    return Object.entries(this.byName) as [QueueName, QueueWithDeadLetters][];
  }
}
