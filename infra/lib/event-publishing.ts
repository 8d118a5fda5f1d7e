// Where the functions publish events. Functions that commit queues or finish their outboxes publish
// the events of queues. advance-queues publishes that thresholds are crossed.

import * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Queues } from './queues.ts';
import type { Settings } from './settings.ts';

/** Tells a function where to publish events, and allows it to. tables.ts has the events table. */
export function publishEvents(fn: lambda.Function, settings: Settings['events'], { bus, events }: Queues): void {
  const destinations: string[] = [];
  const allow = (action: string, resource: string) =>
    fn.addToRolePolicy(new iam.PolicyStatement({ actions: [action], resources: [resource] }));
  if (settings.bus) {
    destinations.push(`eventbridge:${bus.eventBusArn}`);
    allow('events:PutEvents', bus.eventBusArn);
  }
  if (events !== undefined) {
    destinations.push(`sqs:${events.queue.queueUrl}`);
    allow('sqs:SendMessage', events.queue.queueArn);
  }
  if (settings.table) {
    destinations.push('table');
    fn.addEnvironment('MILLRACE_EVENTS_RETENTION_HOURS', String(settings.retentionHours));
  }
  if (destinations.length > 0) {
    fn.addEnvironment('MILLRACE_EVENTS', destinations.join(','));
  }
  if (settings.types !== 'all') {
    fn.addEnvironment('MILLRACE_EVENTS_TYPES', settings.types.join(','));
  }
}
