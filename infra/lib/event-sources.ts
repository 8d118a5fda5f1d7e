// The event sources of process-tasks: the queues and the event bus. And where failed asynchronous
// invocations of all functions go.

import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as eventTargets from 'aws-cdk-lib/aws-events-targets';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as destinations from 'aws-cdk-lib/aws-lambda-destinations';
import * as eventSources from 'aws-cdk-lib/aws-lambda-event-sources';
import { Construct } from 'constructs';
import type { Functions } from './functions.ts';
import type { Queues } from './queues.ts';
import type { QueueSettings, Settings } from './settings.ts';

/** The detail type of EventBridge events that carry commands. */
const COMMAND_DETAIL_TYPE = 'TaskQueueCommand';

/** The maximum of SQS for a FIFO queue. */
const FIFO_BATCH_SIZE = 10;

/** How long EventBridge and Lambda retry a failed event. */
const MAX_EVENT_AGE = Duration.hours(6);

export interface EventSourcesProps {
  settings: Pick<Settings, 'queues' | 'eventSourceMetrics'>;
  queues: Queues;
  functions: Functions;
}

export class EventSources extends Construct {
  /** Passes commands from the event bus to process-tasks. */
  readonly commandRule: events.Rule;

  constructor(scope: Construct, id: string, props: EventSourcesProps) {
    super(scope, id);
    addQueues(props);
    this.commandRule = this.addCommandRule(props);
    addFailureDestinations(props);
  }

  private addCommandRule({ queues, functions }: EventSourcesProps): events.Rule {
    return new events.Rule(this, 'Commands', {
      eventBus: queues.bus,
      description: 'Commands to process-tasks',
      eventPattern: { detailType: [COMMAND_DETAIL_TYPE] },
      targets: [
        new eventTargets.LambdaFunction(functions.byName['process-tasks'].live, {
          deadLetterQueue: queues.undelivered,
          maxEventAge: MAX_EVENT_AGE,
          retryAttempts: 185,
        }),
      ],
    });
  }
}

function addQueues({ settings, queues, functions }: EventSourcesProps): void {
  const { commands, progress, ticks } = settings.queues;
  const processTasks = functions.byName['process-tasks'].live;
  const common = {
    reportBatchItemFailures: true,
    ...(settings.eventSourceMetrics && { metricsConfig: { metrics: [lambda.MetricType.EVENT_COUNT] } }),
  };
  processTasks.addEventSource(
    new eventSources.SqsEventSource(queues.byName.commands.queue, {
      ...common,
      ...scalingOf(commands),
      batchSize: FIFO_BATCH_SIZE,
    }),
  );
  processTasks.addEventSource(
    new eventSources.SqsEventSource(queues.byName.progress.queue, {
      ...common,
      ...scalingOf(progress),
      batchSize: progress.batchSize,
      maxBatchingWindow: Duration.seconds(progress.windowSeconds),
    }),
  );
  // No batching window: a tick is due now, and names up to 100 players by itself.
  processTasks.addEventSource(
    new eventSources.SqsEventSource(queues.byName.ticks.queue, {
      ...common,
      ...scalingOf(ticks),
      batchSize: ticks.batchSize,
    }),
  );
}

/** Lambda accepts one of the two. */
function scalingOf({
  maxConcurrency,
  pollers,
}: QueueSettings): Pick<eventSources.SqsEventSourceProps, 'maxConcurrency' | 'provisionedPollerConfig'> {
  if (pollers === undefined) {
    return { maxConcurrency };
  }
  return { provisionedPollerConfig: { minimumPollers: pollers.minimum, maximumPollers: pollers.maximum } };
}

/**
 * The bus, the schedules and `aws lambda invoke --invocation-type Event` invoke asynchronously.
 * Lambda retries a failed invocation twice and then sends its event to the queue of undelivered
 * events.
 */
function addFailureDestinations({ queues, functions }: EventSourcesProps): void {
  for (const [, { live }] of functions.all) {
    live.configureAsyncInvoke({
      onFailure: new destinations.SqsDestination(queues.undelivered),
      maxEventAge: MAX_EVENT_AGE,
      retryAttempts: 2,
    });
  }
}
