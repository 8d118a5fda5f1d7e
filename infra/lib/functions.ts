// The functions: how each is built, what it is told, what it may do. What invokes them is in sources.ts, api.ts and
// schedules.ts.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArnFormat, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Cache, CacheUser } from './cache.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL } from './intervals.ts';
import type { Network } from './network.ts';
import { FUNCTION_NAMES, type FunctionName, removalPolicyOf, type Settings } from './settings.ts';
import { DUE_INDEX, TABLE_NAMES, type TableName, type Tables } from './tables.ts';

/** Calls of DynamoDB by table; those of its index have their own line. */
type Access = Partial<Record<TableName | 'due', string[]>>;

/** Loading, deciding and recording: what every function does that brings a queue up to date. */
const ADVANCE: Access = {
  queues: ['GetItem', 'BatchGetItem', 'PutItem', 'PartiQLInsert', 'PartiQLUpdate'],
  progress: ['BatchGetItem', 'BatchWriteItem'],
  stats: ['BatchWriteItem'],
  history: ['BatchWriteItem'],
  rejections: ['BatchWriteItem'],
};

/** What each function calls (shared/store/src/dynamodb/mod.rs). */
const ACCESS: Record<FunctionName, Access> = {
  'process-tasks': ADVANCE,
  // Where it hands ticks to process-tasks, that is all: it looks whether the table answers, and what is due.
  'advance-queues': { queues: ['GetItem'], due: ['Query'] },
  'queue-api': {
    ...ADVANCE,
    stats: ['GetItem', 'BatchWriteItem'],
    history: ['Query', 'BatchWriteItem'],
    rejections: ['Query', 'BatchWriteItem'],
    due: ['Query'],
  },
  'maintain-cache': {
    queues: ['GetItem', 'BatchGetItem'],
    progress: ['BatchGetItem'],
    // Whoever loads a row writes down again what its last commit led to, before it uses it (shared/service/src/load.rs).
    stats: ['GetItem', 'BatchWriteItem'],
    history: ['BatchWriteItem'],
    rejections: ['BatchWriteItem'],
    due: ['Query'],
  },
};

/** Which user of the cache each function is. */
const CACHE_USER: Record<FunctionName, CacheUser> = {
  'process-tasks': 'tasks',
  'advance-queues': 'tasks',
  // It does for administrators what maintain-cache does.
  'queue-api': 'upkeep',
  'maintain-cache': 'upkeep',
};

export interface FunctionsProps {
  prefix: string;
  settings: Settings;
  /** Holds `<function>/bootstrap`, as `make functions` leaves it. */
  codeDirectory: string;
  network: Network;
  cache: Cache;
  tables: Tables;
  key: kms.IKey;
  /** Where advance-queues sends ticks; none: it advances queues itself. */
  ticksQueue?: sqs.IQueue;
  logRetention: logs.RetentionDays;
}

/** A function and the name under which everything calls it, so that a new version can take over by and by. */
export interface DeployedFunction {
  function: lambda.Function;
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
      'process-tasks': this.deploy('process-tasks', 'Applies commands and ticks'),
      'advance-queues': this.deploy('advance-queues', 'Finds queues with something due, and has them advanced'),
      'queue-api': this.deploy('queue-api', 'Answers over HTTP'),
      'maintain-cache': this.deploy('maintain-cache', 'Looks after the cache'),
    };
    // A warmed copy has to live until the next run of upkeep.
    this.byName['maintain-cache'].function.addEnvironment(
      'MILLRACE_WARM_INTERVAL_SECONDS',
      String(UPKEEP_INTERVAL.toSeconds()),
    );
    const sender = this.byName['advance-queues'].function;
    sender.addEnvironment('MILLRACE_ADVANCE_PERIOD_SECONDS', String(ADVANCE_INTERVAL.toSeconds()));
    // Scheduler calls at some moment of the minute: of two calls one may come at its beginning, the next at its end.
    sender.addEnvironment('MILLRACE_ADVANCE_SLACK_SECONDS', '60');
    if (props.ticksQueue !== undefined) {
      sender.addEnvironment('MILLRACE_TICKS_QUEUE_URL', props.ticksQueue.queueUrl);
      sender.addToRolePolicy(
        new iam.PolicyStatement({ actions: ['sqs:SendMessage'], resources: [props.ticksQueue.queueArn] }),
      );
    }
  }

  get all(): [FunctionName, DeployedFunction][] {
    return FUNCTION_NAMES.map((name) => [name, this.byName[name]]);
  }

  private deploy(name: FunctionName, description: string): DeployedFunction {
    const { prefix, settings, cache, network, logRetention } = this.props;
    const functionName = `${prefix}${name}`;
    const { memoryMiB, timeoutSeconds } = settings.functions[name];
    const timeout = Duration.seconds(timeoutSeconds);
    const logGroup = new logs.LogGroup(this, `${name}-log`, {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = this.role(name, functionName, logGroup);
    const fn = new lambda.Function(this, name, {
      functionName,
      description,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: lambda.Architecture.ARM_64,
      handler: 'bootstrap',
      code: codeOf(this.props.codeDirectory, name),
      memorySize: memoryMiB,
      timeout,
      role,
      logGroup,
      // The function writes one object a line, and decides by MILLRACE_LOG which.
      loggingFormat: lambda.LoggingFormat.JSON,
      applicationLogLevelV2: lambda.ApplicationLogLevel.TRACE,
      tracing: lambda.Tracing.ACTIVE,
      vpc: network.vpc,
      vpcSubnets: { subnets: network.vpc.isolatedSubnets as ec2.ISubnet[] },
      securityGroups: [network.functions],
      environment: {
        MILLRACE_STORE: 'dynamodb',
        MILLRACE_TABLE_PREFIX: prefix,
        MILLRACE_REDIS_URL: cache.url(CACHE_USER[name]),
        MILLRACE_REDIS_MODE: cache.mode,
        MILLRACE_REDIS_IAM_CACHE_NAME: cache.name,
        ...settings.environment,
      },
      currentVersionOptions: {
        // Kept, an earlier version can be gone back to without building anything. Not so one whose deployment was rolled back:
        // Lambda makes no second version of the same code, and the stack could not be given the one that is there.
        removalPolicy: removalPolicyOf(settings),
      },
    });
    cache.grantConnect(role, CACHE_USER[name]);
    const advancesItself = name === 'advance-queues' && settings.ticks === 'direct';
    this.grantTables(role, { ...ACCESS[name], ...(advancesItself && ADVANCE) });
    const live = new lambda.Alias(this, `${name}-live`, { aliasName: 'live', version: fn.currentVersion });
    return { function: fn, live, logGroup, timeout };
  }

  /** Instead of managed policies, which allow logs of any name. */
  private role(name: FunctionName, functionName: string, logGroup: logs.LogGroup): iam.Role {
    const role = new iam.Role(this, `${name}-role`, {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: `What ${functionName} may do`,
    });
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      }),
    );
    const interfaces = [
      'ec2:CreateNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:DeleteNetworkInterface',
      'ec2:AssignPrivateIpAddresses',
      'ec2:UnassignPrivateIpAddresses',
    ];
    // Lambda needs these to attach the function to the network, and has only the function's role to do it with.
    role.addToPolicy(new iam.PolicyStatement({ actions: interfaces, resources: ['*'] }));
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'Network interfaces have no names before they are made, and traces belong to no resource. The code is denied ' +
        'what is said of network interfaces.',
    });
    // The code itself does not.
    role.addToPolicy(
      new iam.PolicyStatement({
        effect: iam.Effect.DENY,
        actions: interfaces,
        resources: ['*'],
        conditions: {
          ArnEquals: {
            'lambda:SourceFunctionArn': Stack.of(this).formatArn({
              service: 'lambda',
              resource: 'function',
              resourceName: functionName,
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
            }),
          },
        },
      }),
    );
    return role;
  }

  private grantTables(role: iam.Role, access: Access): void {
    const { tables, key } = this.props;
    const allow = (actions: string[] | undefined, resource: string) => {
      if (actions !== undefined) {
        const named = actions.map((action) => `dynamodb:${action}`);
        role.addToPolicy(new iam.PolicyStatement({ actions: named, resources: [resource] }));
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

/** A function that was built. Zipped here, so that equal binaries are equal versions. */
function codeOf(directory: string, name: FunctionName): lambda.Code {
  const path = join(directory, name);
  if (!existsSync(join(path, 'bootstrap'))) {
    throw new Error(`${join(path, 'bootstrap')} is missing: build the functions with \`make functions\``);
  }
  return lambda.Code.fromAsset(path);
}
