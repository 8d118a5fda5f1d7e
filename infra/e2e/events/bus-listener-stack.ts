// An SQS queue that gets every event of the event bus.

import { CfnOutput, Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

export class BusListenerStack extends Stack {
  constructor(scope: Construct, id: string, busName: string) {
    super(scope, id);
    const queue = new sqs.Queue(this, 'Queue', { enforceSSL: true });
    new events.Rule(this, 'Events', {
      eventBus: events.EventBus.fromEventBusName(this, 'Bus', busName),
      eventPattern: { source: ['millrace'] },
      targets: [new targets.SqsQueue(queue)],
    });
    new CfnOutput(this, 'QueueUrl', { value: queue.queueUrl });
  }
}
