// The stack: creates all parts and connects them.

import { Fn, Stack, type StackProps, Tags } from 'aws-cdk-lib';
import type * as events from 'aws-cdk-lib/aws-events';
import * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
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
import { Queues } from './queues.ts';
import { Schedules } from './schedules.ts';
import { prefixOf, removalPolicyOf, type Settings } from './settings.ts';
import { Tables } from './tables.ts';
import { validate } from './validation.ts';

export interface MillraceStackProps extends StackProps {
  settings: Settings;
  /** Contains `<function>/bootstrap` for each function. */
  codeDirectory: string;
  /** Deploys new versions although an alarm is active (options.ts). */
  ignoreAlarms?: boolean;
}

/** What most parts of the stack need. */
interface Common {
  prefix: string;
  settings: Settings;
  key: kms.Key;
  logRetention: logs.RetentionDays;
}

export class MillraceStack extends Stack {
  readonly functions: Functions;

  constructor(scope: Construct, props: MillraceStackProps) {
    const settings = validate(props.settings);
    super(scope, `millrace-${settings.stage}`, {
      description: `Millrace, ${settings.stage}: a task queue for each player`,
      terminationProtection: settings.keepData,
      ...props,
    });
    for (const [name, value] of Object.entries(settings.tags)) {
      Tags.of(this).add(name, value);
    }
    const prefix = prefixOf(settings);
    const key = new kms.Key(this, 'Key', {
      alias: `${prefix}data`,
      description: `Encrypts the data of ${prefix}*`,
      enableKeyRotation: true,
      removalPolicy: removalPolicyOf(settings),
    });
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
    const sharedCache = this.createSharedCache(common, { tables, queues, notifications });
    const { functions, ...sources } = this.createFunctions(common, props.codeDirectory, {
      sharedCache,
      tables,
      queues,
    });
    this.functions = functions;
    const api = this.createApi(common, functions);
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
    const alarms = new Alarms(this, 'Alarms', { ...monitored, ...sources, notifications });
    new Deployment(this, 'Deployment', {
      prefix,
      functions,
      alarms,
      deployment: settings.deployment,
      ignoreAlarms: props.ignoreAlarms ?? false,
    });
    if (settings.budget !== undefined) {
      new Budget(this, 'Budget', { prefix, settings: settings.budget, subscribers: settings.alarms.warnings });
    }
    const dashboard =
      settings.monitoring === 'full' ? new Dashboard(this, 'Dashboard', { ...monitored, alarms }) : undefined;
    addOutputs(this, {
      prefix,
      api,
      queues,
      ...(cache && { cache }),
      notifications,
      ...(dashboard && { dashboard }),
    });
  }

  private createQueues({ prefix, settings }: Common): Queues {
    return new Queues(this, 'Queues', {
      prefix,
      settings: settings.queues,
      hasEventsQueue: settings.events.queue,
      functionTimeoutSeconds: settings.functions['process-tasks'].timeoutSeconds,
      keepData: settings.keepData,
    });
  }

  /** Creates the shared cache with its network, unless the stage has none. */
  private createSharedCache(
    { prefix, settings, key, logRetention }: Common,
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
    });
    const cache = createCache(this, 'Cache', {
      prefix,
      settings: settings.cache,
      vpc: network.vpc,
      securityGroup: network.cache,
      key,
      logRetention,
      ...(notifications.cacheEvents && { eventsTopicArn: notifications.cacheEvents.topicArn }),
    });
    return { cache, network };
  }

  /** Creates the functions with what invokes them. */
  private createFunctions(
    common: Common,
    codeDirectory: string,
    { sharedCache, tables, queues }: { sharedCache: SharedCache | undefined; tables: Tables; queues: Queues },
  ): { functions: Functions; schedules: Schedules; commandRule: events.Rule } {
    const { prefix, settings } = common;
    const functions = new Functions(this, 'Functions', {
      ...common,
      codeDirectory,
      ...(sharedCache && { sharedCache }),
      tables,
      queues,
    });
    const { commandRule } = new EventSources(this, 'Sources', { settings, queues, functions });
    const watchesThresholds = sharedCache !== undefined && settings.ticks === 'queue';
    const schedules = new Schedules(this, 'Schedules', { prefix, functions, queues, watchesThresholds });
    return { functions, schedules, commandRule };
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

  /** Three zones by index. The CDK needs no account to look them up. */
  override get availabilityZones(): string[] {
    return [0, 1, 2].map((index) => Fn.select(index, Fn.getAzs()));
  }
}
