// What brings commands and ticks to process-tasks: the queues and the event bus.

import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as eventTargets from 'aws-cdk-lib/aws-events-targets';
import * as destinations from 'aws-cdk-lib/aws-lambda-destinations';
import * as sources from 'aws-cdk-lib/aws-lambda-event-sources';
import { Construct } from 'constructs';
import type { Functions } from './functions.ts';
import type { Queues } from './queues.ts';
import type { Settings } from './settings.ts';

/** What the bus carries to process-tasks, whoever sends it. */
export const COMMAND_DETAIL_TYPE = 'TaskQueueCommand';

/** Most messages that SQS hands out of a FIFO queue at once. */
const FIFO_BATCH = 10;

/** For how long an event that fails comes again. */
const EVENT_AGE = Duration.hours(6);

export interface SourcesProps {
  settings: Settings['queues'];
  queues: Queues;
  functions: Functions;
}

export class Sources extends Construct {
  constructor(scope: Construct, id: string, props: SourcesProps) {
    super(scope, id);
    const { settings, queues, functions } = props;
    const processTasks = functions.byName['process-tasks'].live;
    const { commands, progress, ticks } = settings;

    processTasks.addEventSource(
      new sources.SqsEventSource(queues.byName.commands.queue, {
        batchSize: FIFO_BATCH,
        maxConcurrency: commands.maxConcurrency,
        reportBatchItemFailures: true,
      }),
    );
    processTasks.addEventSource(
      new sources.SqsEventSource(queues.byName.progress.queue, {
        batchSize: progress.batchSize,
        maxBatchingWindow: Duration.seconds(progress.windowSeconds),
        maxConcurrency: progress.maxConcurrency,
        reportBatchItemFailures: true,
      }),
    );
    // A tick carries up to a hundred players, and is due now.
    processTasks.addEventSource(
      new sources.SqsEventSource(queues.byName.ticks.queue, {
        batchSize: ticks.batchSize,
        maxConcurrency: ticks.maxConcurrency,
        reportBatchItemFailures: true,
      }),
    );

    new events.Rule(this, 'Commands', {
      eventBus: queues.bus,
      description: 'Commands to process-tasks',
      eventPattern: { detailType: [COMMAND_DETAIL_TYPE] },
      targets: [
        new eventTargets.LambdaFunction(processTasks, {
          deadLetterQueue: queues.undelivered,
          maxEventAge: EVENT_AGE,
          retryAttempts: 185,
        }),
      ],
    });

    // The bus, schedules and `aws lambda invoke --invocation-type Event` call asynchronously: what fails comes twice
    // more, and then lies where somebody can look at it.
    for (const [, { live }] of functions.all) {
      live.configureAsyncInvoke({
        onFailure: new destinations.SqsDestination(queues.undelivered),
        maxEventAge: EVENT_AGE,
        retryAttempts: 2,
      });
    }
  }
}
