// For tests only: in what a stack that is deployed onto MiniStack differs from one that is deployed onto AWS. A test
// compares the two: there is no other difference.

import { Aspects, type CfnResource, CfnResource as Resource, type IAspect } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';
import type { FunctionName } from './settings.ts';
import type { MillraceStack } from './stack.ts';

/** Types that MiniStack 1.5 refuses. */
export const MISSING_TYPES = [
  'AWS::CloudWatch::CompositeAlarm',
  'AWS::CodeDeploy::Application',
  'AWS::CodeDeploy::DeploymentGroup',
  'AWS::EC2::FlowLog',
  'AWS::EC2::SecurityGroupEgress',
  'AWS::EC2::SecurityGroupIngress',
];

/** Batches are checked by AWS as what they are made of: `dynamodb:PartiQLUpdate` and its like, `sqs:SendMessage`. MiniStack
 *  looks for the name of the call, which is no action of IAM. */
export const CALLS_TAKEN_FOR_ACTIONS: Partial<Record<FunctionName, string[]>> = {
  'process-tasks': ['dynamodb:BatchExecuteStatement'],
  'advance-queues': ['sqs:SendMessageBatch'],
  'queue-api': ['dynamodb:BatchExecuteStatement'],
};

/** Makes a stack one that MiniStack takes. */
export function adaptToMiniStack(stack: MillraceStack): void {
  Aspects.of(stack).add(new WithoutMissingTypes());
  for (const [name, actions] of Object.entries(CALLS_TAKEN_FOR_ACTIONS)) {
    const { function: fn } = stack.functions.byName[name as FunctionName];
    fn.addToRolePolicy(new iam.PolicyStatement({ actions, resources: ['*'] }));
  }
}

/** Puts a resource without meaning in the place of each that MiniStack lacks, so that references to it hold; leaves an
 *  alarm over several metrics the first of them; and has aliases move without CodeDeploy. */
class WithoutMissingTypes implements IAspect {
  visit(node: IConstruct): void {
    if (!Resource.isCfnResource(node)) {
      return;
    }
    const resource: CfnResource = node;
    if (MISSING_TYPES.includes(resource.cfnResourceType)) {
      replace(resource);
    } else if (resource instanceof cloudwatch.CfnAlarm && Array.isArray(resource.metrics)) {
      firstMetricOnly(resource);
    } else if (resource.cfnOptions.updatePolicy?.codeDeployLambdaAliasUpdate !== undefined) {
      resource.cfnOptions.updatePolicy = undefined;
    }
  }
}

function replace(resource: CfnResource): void {
  resource.addOverride('Type', 'AWS::CloudFormation::WaitConditionHandle');
  resource.addOverride('Properties', undefined);
}

function firstMetricOnly(alarm: cloudwatch.CfnAlarm): void {
  const metrics = alarm.metrics as cloudwatch.CfnAlarm.MetricDataQueryProperty[];
  const stat = metrics.map((query) => query.metricStat).find((stat) => stat !== undefined) as
    cloudwatch.CfnAlarm.MetricStatProperty | undefined;
  if (stat === undefined) {
    throw new Error(`${alarm.node.path} has no plain metric`);
  }
  const metric = stat.metric as cloudwatch.CfnAlarm.MetricProperty;
  alarm.metrics = undefined;
  alarm.namespace = metric.namespace;
  alarm.metricName = metric.metricName;
  alarm.dimensions = metric.dimensions;
  alarm.period = stat.period;
  alarm.statistic = stat.stat;
}
