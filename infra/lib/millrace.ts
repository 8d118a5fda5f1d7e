// The construct: creates all parts and connects them.

import * as kms from 'aws-cdk-lib/aws-kms';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { Alarms } from './alarms/alarms.ts';
import { Notifications } from './alarms/notifications.ts';
import { Api } from './api.ts';
import { Budget } from './budget.ts';
import { cachePorts, createCache } from './cache-kinds.ts';
import { Dashboard } from './dashboard.ts';
import { Deployment } from './deployment.ts';
import { EventSources } from './event-sources.ts';
import { Functions, type SharedCache } from './functions.ts';
import { ServiceMetrics } from './metrics.ts';
import { Network } from './network.ts';
import { addOutputs } from './outputs.ts';
import { type MillraceProps, settingsOf } from './props.ts';
import { Queues, type QueueWithDeadLetters } from './queues.ts';
import { Schedules } from './schedules.ts';
import { type FunctionName, prefixOf, removalPolicyOf, type Settings } from './settings.ts';
import { type TableName, Tables } from './tables.ts';
import { validate } from './validation.ts';

/** What most parts need. */
interface Common {
  prefix: string;
  settings: Settings;
  key: kms.IKey | undefined;
  logRetention: logs.RetentionDays;
}

/** Task queues, one for each player: functions, tables, queues, an event bus and an HTTP API. */
export class Millrace extends Construct {
  /** `millrace-<stage>-`, which the names of tables, functions, alarms and others begin with. */
  readonly prefix: string;
  /** Takes commands, with the player as the message group. FIFO. */
  readonly commandsQueue: sqs.IQueue;
  /** Takes progress reports. */
  readonly progressQueue: sqs.IQueue;
  /** Has the events of queues, if `events.queue` is set. FIFO. */
  readonly eventsQueue: sqs.IQueue | undefined;
  /** The dead-letter queues, and the queue of undelivered events. */
  readonly deadLetterQueues: sqs.IQueue[];
  /** Takes commands, and has the events of queues. */
  readonly bus: events.IEventBus;
  readonly tables: Readonly<Record<TableName, dynamodb.ITable>>;
  /** The functions. Invoke the alias `live` of a function, and not the function itself. */
  readonly functions: Readonly<Record<FunctionName, { function: lambda.IFunction; live: lambda.IAlias }>>;
  readonly apiUrl: string;
  /** Encrypts the tables, the cache and the topics. Unset: `hasKey` is false. */
  readonly key: kms.IKey | undefined;
  /** The VPC of the functions and the shared cache. Unset: there is no shared cache. */
  readonly vpc: ec2.IVpc | undefined;
  /** Gets the alarm that players are affected. */
  readonly pages: sns.ITopic;
  /** Gets all other alarms. */
  readonly warnings: sns.ITopic;

  private readonly parts: {
    settings: Settings;
    api: Api;
    queues: Queues;
    sharedCache: SharedCache | undefined;
    functions: Functions;
    metrics: ServiceMetrics;
    notifications: Notifications;
    dashboard: Dashboard | undefined;
  };

  constructor(scope: Construct, id: string, props: MillraceProps) {
    super(scope, id);
    const settings = validate(settingsOf(props));
    const prefix = prefixOf(settings);
    const key = this.createKey(prefix, settings);
    // The values of RetentionDays are numbers of days.
    const common: Common = { prefix, settings, key, logRetention: settings.logDays };
    const tables = new Tables(this, 'Tables', { prefix, key, settings: settings.tables, keepData: settings.keepData });
    const queues = this.createQueues(common);
    const notifications = new Notifications(this, 'Notifications', {
      prefix,
      settings: settings.alarms,
      key,
      hasCacheEvents: settings.cache.kind === 'nodes',
    });
    const sharedCache = this.createSharedCache(common, props, { tables, queues, notifications });
    const functions = new Functions(this, 'Functions', {
      ...common,
      codeDirectory: props.codeDirectory,
      ...(sharedCache && { sharedCache }),
      tables,
      queues,
    });
    const api = this.createApi(common, functions);
    const { metrics, dashboard } = this.createMonitoring(common, {
      tables,
      queues,
      notifications,
      sharedCache,
      functions,
      api,
      ignoreAlarms: props.ignoreAlarms ?? false,
    });
    this.parts = { settings, api, queues, sharedCache, functions, metrics, notifications, dashboard };
    this.prefix = prefix;
    this.key = key;
    this.commandsQueue = queues.byName.commands.queue;
    this.progressQueue = queues.byName.progress.queue;
    this.eventsQueue = queues.events?.queue;
    this.deadLetterQueues = [
      ...queues.all.map(([, { deadLetters }]: [string, QueueWithDeadLetters]) => deadLetters),
      queues.undelivered,
    ];
    this.bus = queues.bus;
    this.tables = tables.byName;
    this.functions = functions.byName;
    this.apiUrl = api.api.apiEndpoint;
    this.vpc = sharedCache?.network.vpc;
    this.pages = notifications.pages;
    this.warnings = notifications.warnings;
  }

  /** Allows to send commands and progress reports to their queues. */
  grantSendCommands(grantee: iam.IGrantable): iam.Grant {
    return this.commandsQueue.grantSendMessages(grantee).combine(this.progressQueue.grantSendMessages(grantee));
  }

  /** Allows to put commands on the event bus. */
  grantPutEvents(grantee: iam.IGrantable): iam.Grant {
    return this.bus.grantPutEventsTo(grantee);
  }

  /** Allows to receive events from the events queue. Without one, this is an error. */
  grantReadEvents(grantee: iam.IGrantable): iam.Grant {
    if (this.eventsQueue === undefined) {
      throw new Error('grantReadEvents needs a queue of events: set events.queue. Rules of the bus need no grant');
    }
    return this.eventsQueue.grantConsumeMessages(grantee);
  }

  /**
   * A metric of the functions (docs/metrics.md), such as `CommandsApplied`. It has data with full
   * monitoring only.
   */
  metric(name: string, options: cloudwatch.MetricOptions = {}): cloudwatch.IMetric {
    return this.parts.metrics.metric(name, options);
  }

  /**
   * Adds the outputs that the command line and the documentation use. Their names have no prefix,
   * so a stack can have those of one deployment.
   */
  addOutputs(): void {
    const { sharedCache, dashboard, ...parts } = this.parts;
    addOutputs(this, {
      ...parts,
      prefix: this.prefix,
      key: this.key,
      ...(sharedCache && { cache: sharedCache.cache }),
      ...(dashboard && { dashboard }),
    });
  }

  /** A key that was kept also keeps its policy, which allows what this deployment needs. */
  private createKey(prefix: string, settings: Settings): kms.IKey | undefined {
    if (!settings.hasKey) {
      return undefined;
    }
    if (settings.keyArn !== undefined) {
      return kms.Key.fromKeyArn(this, 'Key', settings.keyArn);
    }
    return new kms.Key(this, 'Key', {
      alias: `${prefix}data`,
      description: `Encrypts the data of ${prefix}*`,
      enableKeyRotation: true,
      removalPolicy: removalPolicyOf(settings),
    });
  }

  private createQueues({ settings }: Common): Queues {
    return new Queues(this, 'Queues', {
      settings: settings.queues,
      busName: `${prefixOf(settings)}bus`,
      hasEventsQueue: settings.events.queue,
      functionTimeoutSeconds: settings.functions['process-tasks'].timeoutSeconds,
      keepData: settings.keepData,
    });
  }

  /** Creates the shared cache with its network, unless there is none. */
  private createSharedCache(
    { prefix, settings, key, logRetention }: Common,
    { network: existing }: MillraceProps,
    { tables, queues, notifications }: { tables: Tables; queues: Queues; notifications: Notifications },
  ): SharedCache | undefined {
    if (settings.cache.kind === 'none') {
      return undefined;
    }
    const network = new Network(this, 'Network', {
      tableArns: tables.all.map(([, table]) => table.tableArn),
      queueArns: queues.events === undefined ? [] : [queues.events.queue.queueArn],
      monitoredQueueArns: queues.monitored.map((queue) => queue.queueArn),
      ...(settings.events.bus && { busArn: queues.bus.eventBusArn }),
      cachePorts: cachePorts(settings.cache),
      hasInstances: settings.managedInstances !== undefined,
      logRetention,
      ...(existing && { existing }),
    });
    const cache = createCache(this, 'Cache', {
      prefix,
      settings: settings.cache,
      subnets: network.subnets,
      securityGroup: network.cache,
      key,
      logRetention,
      ...(notifications.cacheEvents && { eventsTopicArn: notifications.cacheEvents.topicArn }),
    });
    return { cache, network };
  }

  private createApi({ prefix, settings, logRetention }: Common, functions: Functions): Api {
    const queueApi = functions.byName['queue-api'];
    const { corsOrigins } = settings.api;
    if (corsOrigins.length > 0) {
      // API Gateway and the function allow the same origins, whichever of them answers.
      queueApi.function.addEnvironment('MILLRACE_CORS_ORIGINS', corsOrigins.join(','));
    }
    return new Api(this, 'Api', { prefix, settings: settings.api, handler: queueApi.live, logRetention });
  }

  /** Creates what invokes the functions, and what watches them. */
  private createMonitoring({ prefix, settings }: Common, parts: MonitoredParts) {
    const { tables, queues, notifications, sharedCache, functions, api, ignoreAlarms } = parts;
    const { commandRule } = new EventSources(this, 'Sources', { settings, queues, functions });
    const watchesThresholds = sharedCache !== undefined && settings.ticks === 'queue';
    const schedules = new Schedules(this, 'Schedules', { prefix, functions, queues, watchesThresholds });
    const metrics = new ServiceMetrics({
      stage: settings.stage,
      limits: settings.alarms.thresholds,
      // API Gateway counts requests without a price, and those that do not reach the function.
      awsMetrics: {
        Requests: (options) => api.stage.metricCount(options),
        RequestsFailed: (options) => api.stage.metricServerError(options),
      },
    });
    const cache = sharedCache?.cache;
    const monitored = { prefix, settings, ...(cache && { cache }), tables, queues, functions, api, metrics };
    const alarms = new Alarms(this, 'Alarms', { ...monitored, schedules, commandRule, notifications });
    new Deployment(this, 'Deployment', { prefix, functions, alarms, deployment: settings.deployment, ignoreAlarms });
    if (settings.budget !== undefined) {
      new Budget(this, 'Budget', { prefix, settings: settings.budget, subscribers: settings.alarms.warnings });
    }
    const dashboard =
      settings.monitoring === 'full' ? new Dashboard(this, 'Dashboard', { ...monitored, alarms }) : undefined;
    return { metrics, dashboard };
  }
}

interface MonitoredParts {
  tables: Tables;
  queues: Queues;
  notifications: Notifications;
  sharedCache: SharedCache | undefined;
  functions: Functions;
  api: Api;
  ignoreAlarms: boolean;
}
