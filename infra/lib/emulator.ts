// For tests only: the differences between a stack for MiniStack, an emulator of AWS, and a stack
// for AWS. A test checks that there are no others.

import { Aspects, CfnOutput, CfnResource, type IAspect, Stack, Token } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { IConstruct } from 'constructs';
import type { FunctionName } from './settings.ts';
import type { MillraceStack } from './stack.ts';

/** Resource types that MiniStack 1.5 refuses. */
export const UNSUPPORTED_TYPES = [
  'AWS::CloudWatch::CompositeAlarm',
  'AWS::CodeDeploy::Application',
  'AWS::CodeDeploy::DeploymentGroup',
  'AWS::EC2::FlowLog',
  'AWS::EC2::SecurityGroupEgress',
  'AWS::EC2::SecurityGroupIngress',
];

/**
 * AWS authorizes a batch call by the actions of its entries, such as `dynamodb:PartiQLUpdate`.
 * MiniStack requires an action with the name of the call, which IAM does not have.
 */
const BATCH_CALLS: Partial<Record<FunctionName, string[]>> = {
  'process-tasks': ['dynamodb:BatchExecuteStatement', 'sqs:SendMessageBatch'],
  'advance-queues': ['sqs:SendMessageBatch'],
  'queue-api': ['dynamodb:BatchExecuteStatement', 'sqs:SendMessageBatch'],
  'maintain-cache': ['sqs:SendMessageBatch'],
};

/** Changes a stack so that MiniStack accepts it. */
export function adaptToMiniStack(stack: MillraceStack): void {
  Aspects.of(stack).add(new MiniStackAspect());
  for (const [name, actions] of Object.entries(BATCH_CALLS)) {
    const { function: fn } = stack.millrace.functions[name as FunctionName];
    fn.addToRolePolicy(new iam.PolicyStatement({ actions, resources: ['*'] }));
  }
}

class MiniStackAspect implements IAspect {
  visit(node: IConstruct): void {
    if (node instanceof CfnOutput) {
      node.value = Token.asString(withEndpointOfGroup(node, node.value));
    }
    if (!CfnResource.isCfnResource(node)) {
      return;
    }
    if (node instanceof elasticache.CfnServerlessCache) {
      replaceWithReplicationGroup(node);
    } else if (node instanceof lambda.CfnFunction) {
      node.environment = withEndpointOfGroup(node, node.environment);
    } else if (UNSUPPORTED_TYPES.includes(node.cfnResourceType)) {
      replaceWithPlaceholder(node);
    } else if (node instanceof cloudwatch.CfnAlarm && Array.isArray(node.metrics)) {
      keepFirstMetric(node);
    } else if (node.cfnOptions.updatePolicy?.codeDeployLambdaAliasUpdate !== undefined) {
      // CloudFormation moves the alias itself.
      node.cfnOptions.updatePolicy = undefined;
    }
  }
}

/** References to the resource stay valid. */
function replaceWithPlaceholder(resource: CfnResource): void {
  resource.addOverride('Type', 'AWS::CloudFormation::WaitConditionHandle');
  resource.addOverride('Properties', undefined);
}

/**
 * MiniStack has serverless caches, but CloudFormation does not create them there. Both kinds have
 * the endpoint of the Redis server that MiniStack is started with.
 */
function replaceWithReplicationGroup(cache: elasticache.CfnServerlessCache): void {
  cache.addOverride('Type', 'AWS::ElastiCache::ReplicationGroup');
  for (const name of ['ServerlessCacheName', 'Description', 'MajorEngineVersion', 'SubnetIds', 'UserGroupId']) {
    cache.addPropertyDeletionOverride(name);
  }
  cache.addPropertyOverride('ReplicationGroupId', cache.serverlessCacheName);
  cache.addPropertyOverride('ReplicationGroupDescription', cache.description);
  cache.addPropertyOverride('CacheNodeType', 'cache.t4g.micro');
  cache.addPropertyOverride('NumCacheClusters', 1);
  cache.addPropertyOverride('UserGroupIds', [cache.userGroupId]);
}

/** The same value, with the endpoint of a replication group in place of a serverless cache's. */
function withEndpointOfGroup<T>(node: IConstruct, value: T): T {
  const resolved = JSON.stringify(Stack.of(node).resolve(value));
  return JSON.parse(resolved.replaceAll('"Endpoint.', '"PrimaryEndPoint.')) as T;
}

/** MiniStack has no alarms over several metrics. */
function keepFirstMetric(alarm: cloudwatch.CfnAlarm): void {
  const queries = alarm.metrics as cloudwatch.CfnAlarm.MetricDataQueryProperty[];
  const metricStat = queries.map((query) => query.metricStat).find((stat) => stat !== undefined) as
    cloudwatch.CfnAlarm.MetricStatProperty | undefined;
  if (metricStat === undefined) {
    throw new Error(`${alarm.node.path} has no metric without an expression`);
  }
  const metric = metricStat.metric as cloudwatch.CfnAlarm.MetricProperty;
  alarm.metrics = undefined;
  alarm.namespace = metric.namespace;
  alarm.metricName = metric.metricName;
  alarm.dimensions = metric.dimensions;
  alarm.period = metricStat.period;
  alarm.statistic = metricStat.stat;
}
