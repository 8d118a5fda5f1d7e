// Runs process-tasks on instances of EC2 that Lambda starts, updates and stops. An instance passes
// several batches to one process at the same time, which the runtime of shared/lambda supports.

import { Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { Network } from './network.ts';
import type { ManagedInstancesSettings } from './settings.ts';

/** The policy with which Lambda manages instances. */
const OPERATOR_POLICY = 'AWSLambdaManagedEC2ResourceOperator';

export interface ManagedInstancesProps {
  prefix: string;
  settings: ManagedInstancesSettings;
  network: Network;
}

export class ManagedInstances extends Construct {
  private readonly provider: lambda.CapacityProvider;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: ManagedInstancesProps,
  ) {
    super(scope, id);
    const { prefix, settings, network } = props;
    this.provider = new lambda.CapacityProvider(this, 'Provider', {
      capacityProviderName: `${prefix}instances`,
      subnets: network.subnets,
      securityGroups: [network.functions],
      operatorRole: this.addOperatorRole(),
      architectures: [lambda.Architecture.ARM_64],
      maxVCpuCount: settings.maxVcpus,
    });
  }

  /** Runs published versions of a function on the instances. */
  add(fn: lambda.Function): void {
    const { concurrency, memoryGiBPerVcpu } = this.props.settings;
    this.provider.addFunction(fn, {
      perExecutionEnvironmentMaxConcurrency: concurrency,
      executionEnvironmentMemoryGiBPerVCpu: memoryGiBPerVcpu,
      publishToLatestPublished: false,
    });
  }

  private addOperatorRole(): iam.Role {
    const role = new iam.Role(this, 'Operator', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: `Manages the instances of ${this.props.prefix}instances`,
      managedPolicies: [iam.ManagedPolicy.fromAwsManagedPolicyName(OPERATOR_POLICY)],
    });
    Validations.of(role).acknowledge({
      id: `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${OPERATOR_POLICY}]`,
      reason: 'AWS maintains this policy for Lambda, and it is limited to the instances that Lambda starts.',
    });
    return role;
  }
}
