// The whole of it, put together.

import { CfnOutput, Stack, type StackProps, Tags, Fn } from 'aws-cdk-lib';
import * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { Alarms } from './alarms.ts';
import { Api } from './api.ts';
import { Cache, CACHE_PORT } from './cache.ts';
import { Dashboard } from './dashboard.ts';
import { Deployment } from './deployment.ts';
import { Functions } from './functions.ts';
import { LogMetrics } from './metrics.ts';
import { Network } from './network.ts';
import { Queues } from './queues.ts';
import { Schedules } from './schedules.ts';
import { check, prefixOf, removalPolicyOf, type Settings } from './settings.ts';
import { Sources } from './sources.ts';
import { Tables } from './tables.ts';

export interface MillraceStackProps extends StackProps {
  settings: Settings;
  /** Holds `<function>/bootstrap` for each function. */
  codeDirectory: string;
  /** Deploys new versions though an alarm rings (lib/options.ts). */
  ignoreAlarms?: boolean;
}

export class MillraceStack extends Stack {
  readonly functions: Functions;
  readonly queues: Queues;
  readonly tables: Tables;

  constructor(scope: Construct, props: MillraceStackProps) {
    const settings = check(props.settings);
    const prefix = prefixOf(settings);
    super(scope, `millrace-${settings.stage}`, {
      description: `Millrace, ${settings.stage}: a task queue for each player`,
      terminationProtection: settings.keepData,
      ...props,
    });
    for (const [name, value] of Object.entries(settings.tags)) {
      Tags.of(this).add(name, value);
    }
    // Retentions of logs are their numbers of days.
    const logRetention: logs.RetentionDays = settings.logDays;

    const key = new kms.Key(this, 'Key', {
      alias: `${prefix}data`,
      description: `Data of ${prefix}*`,
      enableKeyRotation: true,
      removalPolicy: removalPolicyOf(settings),
    });
    this.tables = new Tables(this, 'Tables', { prefix, key, keepData: settings.keepData });
    this.queues = new Queues(this, 'Queues', {
      prefix,
      settings: settings.queues,
      functionTimeoutSeconds: settings.functions['process-tasks'].timeoutSeconds,
      keepData: settings.keepData,
    });
    const ticksQueue = settings.ticks === 'queue' ? this.queues.byName.ticks.queue : undefined;
    const network = new Network(this, 'Network', {
      tableArns: this.tables.all.map(([, table]) => table.tableArn),
      ...(ticksQueue && { ticksQueueArn: ticksQueue.queueArn }),
      cachePort: CACHE_PORT,
      logRetention,
    });
    const cache = new Cache(this, 'Cache', {
      prefix,
      settings: settings.cache,
      vpc: network.vpc,
      securityGroup: network.cache,
      key,
      logRetention,
    });
    this.functions = new Functions(this, 'Functions', {
      prefix,
      settings,
      codeDirectory: props.codeDirectory,
      network,
      cache,
      tables: this.tables,
      key,
      ...(ticksQueue && { ticksQueue }),
      logRetention,
    });
    const { functions, queues, tables } = this;
    new Sources(this, 'Sources', { settings: settings.queues, queues, functions });
    new Schedules(this, 'Schedules', { prefix, functions, queues });
    if (settings.api.corsOrigins.length > 0) {
      // Both say the same, whichever of them answers.
      functions.byName['queue-api'].function.addEnvironment(
        'MILLRACE_CORS_ORIGINS',
        settings.api.corsOrigins.join(','),
      );
    }
    const api = new Api(this, 'Api', {
      prefix,
      settings: settings.api,
      handler: functions.byName['queue-api'].live,
      logRetention,
    });
    const metrics = new LogMetrics(this, 'Metrics', { stage: settings.stage, functions });
    const alarms = new Alarms(this, 'Alarms', {
      prefix,
      settings,
      cache,
      tables,
      queues,
      functions,
      api,
      metrics,
      key,
    });
    new Deployment(this, 'Deployment', {
      prefix,
      functions,
      alarms,
      deployment: settings.deployment,
      ignoreAlarms: props.ignoreAlarms ?? false,
    });
    const dashboard = new Dashboard(this, 'Dashboard', {
      prefix,
      settings,
      cache,
      tables,
      queues,
      functions,
      api,
      metrics,
      alarms,
    });

    const output = (name: string, value: string, description: string) =>
      new CfnOutput(this, name, { value, description });
    output('ApiUrl', api.api.apiEndpoint, 'Where the HTTP API is');
    output(
      'CommandsQueueUrl',
      queues.byName.commands.queue.queueUrl,
      'Send commands here, in the message group of their player',
    );
    output('ProgressQueueUrl', queues.byName.progress.queue.queueUrl, 'Send reports of progress here');
    output('TicksQueueUrl', queues.byName.ticks.queue.queueUrl, 'Ticks of advance-queues');
    output('BusName', queues.bus.eventBusName, 'Put events of the detail type TaskQueueCommand here');
    output(
      'CommandsDeadLettersUrl',
      queues.byName.commands.deadLetters.queueUrl,
      'Commands that failed again and again',
    );
    output(
      'ProgressDeadLettersUrl',
      queues.byName.progress.deadLetters.queueUrl,
      'Reports that failed again and again',
    );
    output('TicksDeadLettersUrl', queues.byName.ticks.deadLetters.queueUrl, 'Ticks that failed again and again');
    output('UndeliveredUrl', queues.undelivered.queueUrl, 'Scheduled and asynchronous invocations that failed');
    output('TablePrefix', prefix, 'What the names of tables and functions begin with');
    output('CacheEndpoint', cache.endpoint, 'The primary of the cache, from inside the network');
    output('AlarmsTopicArn', alarms.topic.topicArn, 'Subscribe here to be called');
    output(
      'DashboardUrl',
      Fn.sub(`https://console.aws.amazon.com/cloudwatch/home?region=\${AWS::Region}#dashboards:name=${dashboard.name}`),
      'The dashboard',
    );
  }

  /** Three zones, whichever the region has: known without asking an account. */
  override get availabilityZones(): string[] {
    return [0, 1, 2].map((index) => Fn.select(index, Fn.getAzs()));
  }
}
