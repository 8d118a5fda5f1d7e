// The outputs of the stack: what senders, readers and operators need to know after a deployment.

import { CfnOutput, Fn } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import type { Notifications } from './alarms/notifications.ts';
import type { Api } from './api.ts';
import type { Cache } from './cache.ts';
import type { Dashboard } from './dashboard.ts';
import type { Queues } from './queues.ts';

export interface OutputsProps {
  prefix: string;
  key?: kms.IKey | undefined;
  api: Api;
  queues: Queues;
  cache?: Cache;
  notifications: Notifications;
  /** Unset with basic monitoring. */
  dashboard?: Dashboard;
}

/** The names of the outputs are fixed: the command line and scripts of operators read them. */
export function addOutputs(scope: Construct, props: OutputsProps): void {
  const { prefix, key, api, queues, cache, notifications, dashboard } = props;
  const add = (name: string, value: string, description: string) => addOutput(scope, name, value, description);
  const { commands, progress, ticks } = queues.byName;
  add('ApiUrl', api.api.apiEndpoint, 'URL of the HTTP API');
  add('CommandsQueueUrl', commands.queue.queueUrl, 'Queue for commands, with the player as the message group');
  add('ProgressQueueUrl', progress.queue.queueUrl, 'Queue for progress reports');
  add('TicksQueueUrl', ticks.queue.queueUrl, 'Queue for the ticks of advance-queues');
  add(
    'BusName',
    queues.bus.eventBusName,
    'Event bus for commands, with the detail type TaskQueueCommand, and for events',
  );
  add('BusArn', queues.bus.eventBusArn, 'ARN of the event bus');
  add('CommandsDeadLettersUrl', commands.deadLetters.queueUrl, 'Commands that failed repeatedly');
  add('ProgressDeadLettersUrl', progress.deadLetters.queueUrl, 'Progress reports that failed repeatedly');
  add('TicksDeadLettersUrl', ticks.deadLetters.queueUrl, 'Ticks that failed repeatedly');
  if (queues.events !== undefined) {
    add('EventsQueueUrl', queues.events.queue.queueUrl, 'Queue of events, in order for each player');
    add('EventsDeadLettersUrl', queues.events.deadLetters.queueUrl, 'Events that a consumer failed repeatedly');
  }
  add('UndeliveredUrl', queues.undelivered.queueUrl, 'Events of failed scheduled and asynchronous invocations');
  add('TablePrefix', prefix, 'Prefix of the names of tables and functions');
  if (key !== undefined) {
    add('KeyArn', key.keyArn, 'ARN of the key that encrypts the data');
  }
  if (cache !== undefined) {
    add('CacheEndpoint', cache.endpoint, 'Host name of the cache, inside the network');
  }
  add('PagesTopicArn', notifications.pages.topicArn, 'Topic of the alarm that players are affected');
  add('WarningsTopicArn', notifications.warnings.topicArn, 'Topic of all alarms');
  if (dashboard !== undefined) {
    addDashboardUrl(scope, dashboard);
  }
}

function addDashboardUrl(scope: Construct, dashboard: Dashboard): void {
  const dashboardsPage = 'https://console.aws.amazon.com/cloudwatch/home?region=${AWS::Region}#dashboards';
  addOutput(scope, 'DashboardUrl', Fn.sub(`${dashboardsPage}:name=${dashboard.name}`), 'URL of the dashboard');
}

function addOutput(scope: Construct, name: string, value: string, description: string): void {
  new CfnOutput(scope, `${name}Output`, { value, description }).overrideLogicalId(name);
}
