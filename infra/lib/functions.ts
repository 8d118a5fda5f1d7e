// The Lambda functions: code, environment, alias and role. event-sources.ts, api.ts and
// schedules.ts define what invokes them.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Cache } from './cache.ts';
import type { CacheUser } from './cache-users.ts';
import { idOf } from './construct-ids.ts';
import { publishEvents } from './event-publishing.ts';
import { createFunctionRole } from './function-role.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL } from './intervals.ts';
import { ManagedInstances } from './managed-instances.ts';
import { metricsEnvironment } from './metrics.ts';
import type { Network } from './network.ts';
import type { Queues } from './queues.ts';
import { FUNCTION_NAMES, type FunctionName, removalPolicyOf, type Settings } from './settings.ts';
import { type TableAccess, tableAccessOf } from './table-access.ts';
import { DUE_INDEX, TABLE_NAMES, type Tables } from './tables.ts';

const CACHE_USERS: Record<FunctionName, CacheUser> = {
  'process-tasks': 'tasks',
  'advance-queues': 'tasks',
  // The admin routes run the actions of maintain-cache.
  'queue-api': 'upkeep',
  'maintain-cache': 'upkeep',
};

/** The shared cache, and the network in which functions reach it. */
export interface SharedCache {
  cache: Cache;
  network: Network;
}

export interface FunctionsProps {
  prefix: string;
  settings: Settings;
  /** Contains `<function>/bootstrap` or `<function>.zip` for each function. */
  codeDirectory: string;
  /** Unset: functions have no shared cache, and are in no network. */
  sharedCache?: SharedCache;
  tables: Tables;
  /** Unset: AWS has the key of the tables. */
  key?: kms.IKey | undefined;
  queues: Queues;
  logRetention: logs.RetentionDays;
}

export interface DeployedFunction {
  function: lambda.Function;
  /** Every caller invokes this alias, so that CodeDeploy can shift traffic to a new version. */
  live: lambda.Alias;
  logGroup: logs.LogGroup;
  timeout: Duration;
}

export class Functions extends Construct {
  readonly byName: Record<FunctionName, DeployedFunction>;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: FunctionsProps,
  ) {
    super(scope, id);
    this.byName = {
      'process-tasks': this.addFunction('process-tasks', 'Applies commands and ticks'),
      'advance-queues': this.addFunction('advance-queues', 'Finds queues with something due and has them advanced'),
      'queue-api': this.addFunction('queue-api', 'Serves the HTTP API'),
      'maintain-cache': this.addFunction('maintain-cache', 'Runs upkeep of the shared cache'),
    };
    this.configureAdvanceQueues();
    this.configureQueueApi();
    this.useManagedInstances();
    // A warmed copy has to live until the next run of upkeep.
    this.byName['maintain-cache'].function.addEnvironment(
      'MILLRACE_WARM_INTERVAL_SECONDS',
      String(UPKEEP_INTERVAL.toSeconds()),
    );
  }

  get all(): [FunctionName, DeployedFunction][] {
    return FUNCTION_NAMES.map((name) => [name, this.byName[name]]);
  }

  private useManagedInstances(): void {
    const { prefix, settings, sharedCache } = this.props;
    if (settings.managedInstances !== undefined && sharedCache !== undefined) {
      const { network } = sharedCache;
      const instances = new ManagedInstances(this, 'Instances', {
        prefix,
        settings: settings.managedInstances,
        network,
      });
      instances.add(this.byName['process-tasks'].function);
    }
  }

  private configureAdvanceQueues(): void {
    const advanceQueues = this.byName['advance-queues'].function;
    advanceQueues.addEnvironment('MILLRACE_ADVANCE_PERIOD_SECONDS', String(ADVANCE_INTERVAL.toSeconds()));
    // EventBridge Scheduler keeps the minute and not the second. One invocation may come at the
    // start of its minute, and the following one at the end of the next minute.
    advanceQueues.addEnvironment('MILLRACE_ADVANCE_SLACK_SECONDS', '60');
    const { queues, settings } = this.props;
    if (settings.ticks === 'queue') {
      const { queue: ticksQueue } = queues.byName.ticks;
      advanceQueues.addEnvironment('MILLRACE_TICKS_QUEUE_URL', ticksQueue.queueUrl);
      advanceQueues.addToRolePolicy(
        new iam.PolicyStatement({ actions: ['sqs:SendMessage'], resources: [ticksQueue.queueArn] }),
      );
    }
  }

  /** Shows the depth of queues, unless the network has no endpoint of SQS. */
  private configureQueueApi(): void {
    const { queues, sharedCache } = this.props;
    if (sharedCache === undefined || sharedCache.network.reachesSqs) {
      const queueApi = this.byName['queue-api'].function;
      const urls = queues.monitored.map((queue) => queue.queueUrl);
      queueApi.addEnvironment('MILLRACE_MONITORED_QUEUES', urls.join(','));
      const resources = queues.monitored.map((queue) => queue.queueArn);
      queueApi.addToRolePolicy(new iam.PolicyStatement({ actions: ['sqs:GetQueueAttributes'], resources }));
    }
  }

  private addFunction(name: FunctionName, description: string): DeployedFunction {
    const { prefix, settings, queues, codeDirectory, logRetention } = this.props;
    const functionName = `${prefix}${name}`;
    const { memoryMiB, timeoutSeconds, reservedConcurrency } = settings.functions[name];
    const sharedCache = this.sharedCacheOf(name);
    // Managed instances are in the network themselves.
    const isOnInstances = name === 'process-tasks' && settings.managedInstances !== undefined;
    const network = isOnInstances ? undefined : sharedCache?.network;
    const timeout = Duration.seconds(timeoutSeconds);
    const logGroup = new logs.LogGroup(this, idOf(`${name}-log`), {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = createFunctionRole(this, idOf(`${name}-role`), {
      functionName,
      logGroup,
      isInNetwork: network !== undefined,
    });
    const fn = new lambda.Function(this, idOf(name), {
      functionName,
      description,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: lambda.Architecture.ARM_64,
      handler: 'bootstrap',
      code: codeOf(codeDirectory, name),
      memorySize: memoryMiB,
      timeout,
      ...(reservedConcurrency !== undefined && { reservedConcurrentExecutions: reservedConcurrency }),
      role,
      logGroup,
      // The function writes one JSON object per line and filters by MILLRACE_LOG itself.
      loggingFormat: lambda.LoggingFormat.JSON,
      applicationLogLevelV2: lambda.ApplicationLogLevel.TRACE,
      tracing: lambda.Tracing.ACTIVE,
      ...(network !== undefined && placementIn(network)),
      environment: {
        MILLRACE_STORE: 'dynamodb',
        MILLRACE_TABLE_PREFIX: prefix,
        ...sharedCache?.cache.environment(CACHE_USERS[name]),
        ...metricsEnvironment(settings),
        ...settings.environment,
      },
      currentVersionOptions: {
        // Stages that keep data also keep earlier versions, so that the alias can be moved back
        // without a build. A failed deployment deletes its new version. Otherwise the next attempt
        // would fail: Lambda publishes no second version of the same code.
        removalPolicy: removalPolicyOf(settings),
      },
    });
    sharedCache?.cache.grantConnect(role, CACHE_USERS[name]);
    this.grantTables(role, tableAccessOf(name, settings.ticks));
    // advance-queues publishes that thresholds are crossed, all others also what happens to queues.
    publishEvents(fn, settings.events, queues);
    const live = new lambda.Alias(this, idOf(`${name}-live`), { aliasName: 'live', version: fn.currentVersion });
    return { function: fn, live, logGroup, timeout };
  }

  /**
   * What a function uses of the shared cache. With a ticks queue, advance-queues only reads the due
   * index and sends ticks, so it is outside of the network (docs/decisions/032).
   */
  private sharedCacheOf(name: FunctionName): SharedCache | undefined {
    const { settings, sharedCache } = this.props;
    return name === 'advance-queues' && settings.ticks === 'queue' ? undefined : sharedCache;
  }

  private grantTables(role: iam.Role, access: TableAccess): void {
    const { tables, key } = this.props;
    const allow = (actions: string[] | undefined, resource: string) => {
      if (actions !== undefined) {
        const qualified = actions.map((action) => `dynamodb:${action}`);
        role.addToPolicy(new iam.PolicyStatement({ actions: qualified, resources: [resource] }));
      }
    };
    for (const table of TABLE_NAMES) {
      allow(access[table], tables.byName[table].tableArn);
    }
    allow(access.due, `${tables.byName.queues.tableArn}/index/${DUE_INDEX}`);
    if (key === undefined) {
      return;
    }
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'],
        resources: [key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `dynamodb.${Stack.of(this).region}.amazonaws.com` } },
      }),
    );
  }
}

function placementIn({
  vpc,
  subnets,
  functions,
}: Network): Pick<lambda.FunctionProps, 'vpc' | 'vpcSubnets' | 'securityGroups'> {
  return {
    vpc,
    vpcSubnets: { subnets },
    securityGroups: [functions],
  };
}

/**
 * The CDK hashes the directory or the zip of a release, so that equal files give equal versions.
 */
function codeOf(directory: string, name: FunctionName): lambda.Code {
  const path = join(directory, name);
  const bootstrap = join(path, 'bootstrap');
  if (existsSync(bootstrap)) {
    return lambda.Code.fromAsset(path);
  }
  if (existsSync(`${path}.zip`)) {
    return lambda.Code.fromAsset(`${path}.zip`);
  }
  throw new Error(
    `${bootstrap} and ${path}.zip are missing: build the functions with \`make functions\`, or name the directory ` +
      'of a release',
  );
}
