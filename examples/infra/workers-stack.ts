// Workers for three kinds of tasks. For each kind, a rule of the event bus sends the events of
// started tasks to an SQS queue, and Lambda functions receive them.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arn, ArnFormat, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { buildSync } from 'esbuild';

/** Longer than the work of a task: the worker fails what does not end in time. */
const TIMEOUT = Duration.minutes(1);

/** The outputs of the Millrace stack that workers need. */
export interface MillraceOutputs {
  BusName: string;
  CommandsQueueUrl: string;
  ProgressQueueUrl: string;
}

export interface WorkersStackProps extends StackProps {
  outputs: MillraceOutputs;
  /** Contains `worker-rust/bootstrap`. */
  codeDirectory: string;
}

export class WorkersStack extends Stack {
  constructor(
    scope: Construct,
    id: string,
    private readonly props: WorkersStackProps,
  ) {
    super(scope, id, { description: 'Example workers of Millrace', ...props });
    const { CommandsQueueUrl, ProgressQueueUrl } = props.outputs;
    const common = {
      timeout: TIMEOUT,
      memorySize: 256,
      architecture: lambda.Architecture.ARM_64,
      environment: { COMMANDS_QUEUE_URL: CommandsQueueUrl, PROGRESS_QUEUE_URL: ProgressQueueUrl },
    };
    const typescript = new lambda.Function(this, 'TypeScript', {
      ...common,
      runtime: lambda.Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: bundle(join(import.meta.dirname, '../worker-typescript/handler.ts')),
    });
    const rust = new lambda.Function(this, 'Rust', {
      ...common,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
      code: lambda.Code.fromAsset(join(props.codeDirectory, 'worker-rust')),
    });
    for (const worker of [typescript, rust]) {
      this.allowCommands(worker);
      new CfnOutput(this, `${worker.node.id}FunctionName`, { value: worker.functionName });
    }
    this.addKind('Wood', 'harvest.wood', [typescript]);
    this.addKind('Iron', 'forge.iron', [rust]);
    // Each of these tasks is done by one of both.
    this.addKind('Stone', 'mine.stone', [typescript, rust]);
  }

  private allowCommands(worker: lambda.Function): void {
    const { CommandsQueueUrl, ProgressQueueUrl } = this.props.outputs;
    worker.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ['sqs:SendMessage'],
        resources: [CommandsQueueUrl, ProgressQueueUrl].map((url) => this.queueArn(url)),
      }),
    );
  }

  /** Lets functions share the tasks of a kind. */
  private addKind(id: string, kind: string, workers: lambda.Function[]): void {
    const deadLetters = new sqs.Queue(this, `${id}DeadLetters`, {
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    const queue = new sqs.Queue(this, `${id}Queue`, {
      enforceSSL: true,
      // Six times the time-out of the function, as AWS recommends. The task of a worker that died
      // does not wait for it: it is retried with an event of the next attempt.
      visibilityTimeout: Duration.seconds(6 * TIMEOUT.toSeconds()),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: 3 },
    });
    new events.Rule(this, `${id}Started`, {
      eventBus: events.EventBus.fromEventBusName(this, `${id}Bus`, this.props.outputs.BusName),
      eventPattern: {
        source: ['millrace'],
        detailType: ['taskStarted'],
        // Timed tasks have no units. They complete by the clock of Millrace.
        detail: { task: { kind: [kind], units: [{ exists: true }] } },
      },
      targets: [new targets.SqsQueue(queue, { deadLetterQueue: deadLetters })],
    });
    for (const worker of workers) {
      worker.addEventSource(
        new SqsEventSource(queue, { batchSize: 5, maxConcurrency: 10, reportBatchItemFailures: true }),
      );
    }
    new CfnOutput(this, `${id}DeadLettersUrl`, { value: deadLetters.queueUrl, description: `Dead letters of ${kind}` });
  }

  /** The last part of the URL of a queue is its name. */
  private queueArn(url: string): string {
    const resource = url.slice(url.lastIndexOf('/') + 1);
    return Arn.format({ service: 'sqs', resource, arnFormat: ArnFormat.NO_RESOURCE_NAME }, this);
  }
}

/** Compiles a handler with all that it imports into one file. */
function bundle(entry: string): lambda.Code {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-worker-'));
  buildSync({
    entryPoints: [entry],
    outfile: join(directory, 'index.js'),
    bundle: true,
    platform: 'node',
    target: 'node20',
  });
  return lambda.Code.fromAsset(directory);
}
