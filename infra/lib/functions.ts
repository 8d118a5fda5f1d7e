// The Lambda functions: code, environment, alias and role. event-sources.ts, api.ts and
// schedules.ts define what invokes them.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArnFormat, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Cache, CacheUser } from './cache.ts';
import { publishEvents } from './event-publishing.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL } from './intervals.ts';
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

export interface FunctionsProps {
  prefix: string;
  settings: Settings;
  /** Contains `<function>/bootstrap` for each function, as `make functions` builds them. */
  codeDirectory: string;
  network: Network;
  cache: Cache;
  tables: Tables;
  key: kms.IKey;
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
    // A warmed copy has to live until the next run of upkeep.
    this.byName['maintain-cache'].function.addEnvironment(
      'MILLRACE_WARM_INTERVAL_SECONDS',
      String(UPKEEP_INTERVAL.toSeconds()),
    );
  }

  get all(): [FunctionName, DeployedFunction][] {
    return FUNCTION_NAMES.map((name) => [name, this.byName[name]]);
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

  /** Shows the depth of queues, where the network has an endpoint of SQS. */
  private configureQueueApi(): void {
    const { queues, network } = this.props;
    if (network.reachesSqs) {
      const queueApi = this.byName['queue-api'].function;
      const urls = queues.monitored.map((queue) => queue.queueUrl);
      queueApi.addEnvironment('MILLRACE_MONITORED_QUEUES', urls.join(','));
      const resources = queues.monitored.map((queue) => queue.queueArn);
      queueApi.addToRolePolicy(new iam.PolicyStatement({ actions: ['sqs:GetQueueAttributes'], resources }));
    }
  }

  private addFunction(name: FunctionName, description: string): DeployedFunction {
    const { prefix, settings, cache, network, queues, codeDirectory, logRetention } = this.props;
    const functionName = `${prefix}${name}`;
    const { memoryMiB, timeoutSeconds } = settings.functions[name];
    const timeout = Duration.seconds(timeoutSeconds);
    const logGroup = new logs.LogGroup(this, `${name}-log`, {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = this.addRole(name, functionName, logGroup);
    const fn = new lambda.Function(this, name, {
      functionName,
      description,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: lambda.Architecture.ARM_64,
      handler: 'bootstrap',
      code: codeOf(codeDirectory, name),
      memorySize: memoryMiB,
      timeout,
      role,
      logGroup,
      // The function writes one JSON object per line and filters by MILLRACE_LOG itself.
      loggingFormat: lambda.LoggingFormat.JSON,
      applicationLogLevelV2: lambda.ApplicationLogLevel.TRACE,
      tracing: lambda.Tracing.ACTIVE,
      vpc: network.vpc,
      vpcSubnets: { subnets: network.vpc.isolatedSubnets as ec2.ISubnet[] },
      securityGroups: [network.functions],
      environment: {
        MILLRACE_STORE: 'dynamodb',
        MILLRACE_TABLE_PREFIX: prefix,
        MILLRACE_REDIS_URL: cache.url(CACHE_USERS[name]),
        MILLRACE_REDIS_MODE: cache.mode,
        MILLRACE_REDIS_IAM_CACHE_NAME: cache.name,
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
    cache.grantConnect(role, CACHE_USERS[name]);
    this.grantTables(role, tableAccessOf(name, settings.ticks));
    // advance-queues publishes that thresholds are crossed, all others also what happens to queues.
    publishEvents(fn, settings.events, queues);
    const live = new lambda.Alias(this, `${name}-live`, { aliasName: 'live', version: fn.currentVersion });
    return { function: fn, live, logGroup, timeout };
  }

  /** The managed policies of AWS would allow writing to every log group. */
  private addRole(name: FunctionName, functionName: string, logGroup: logs.LogGroup): iam.Role {
    const role = new iam.Role(this, `${name}-role`, {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: `Execution role of ${functionName}`,
    });
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      }),
    );
    const networkInterfaceActions = [
      'ec2:CreateNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:DeleteNetworkInterface',
      'ec2:AssignPrivateIpAddresses',
      'ec2:UnassignPrivateIpAddresses',
    ];
    // Lambda attaches the function to the network with the permissions of the function's role.
    role.addToPolicy(new iam.PolicyStatement({ actions: networkInterfaceActions, resources: ['*'] }));
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'Network interfaces have no ARN before they are created, and X-Ray has no resource-level permissions. ' +
        'The code of the function is denied the actions on network interfaces.',
    });
    // The code of the function does not need these permissions.
    const functionArn = Stack.of(this).formatArn({
      service: 'lambda',
      resource: 'function',
      resourceName: functionName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    role.addToPolicy(
      new iam.PolicyStatement({
        effect: iam.Effect.DENY,
        actions: networkInterfaceActions,
        resources: ['*'],
        conditions: { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } },
      }),
    );
    return role;
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
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'],
        resources: [key.keyArn],
        conditions: { StringEquals: { 'kms:ViaService': `dynamodb.${Stack.of(this).region}.amazonaws.com` } },
      }),
    );
  }
}

/** The CDK hashes and zips the directory, so that equal binaries give equal versions. */
function codeOf(directory: string, name: FunctionName): lambda.Code {
  const path = join(directory, name);
  const bootstrap = join(path, 'bootstrap');
  if (!existsSync(bootstrap)) {
    throw new Error(`${bootstrap} is missing: build the functions with \`make functions\``);
  }
  return lambda.Code.fromAsset(path);
}
