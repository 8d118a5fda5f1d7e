// The execution roles of the functions. The managed policies of AWS would allow writing to every
// log group.

import { ArnFormat, Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

const NETWORK_INTERFACE_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

export interface FunctionRoleProps {
  functionName: string;
  logGroup: logs.ILogGroup;
  /** Whether the function is in a network. */
  isInNetwork: boolean;
}

/** A role that may write logs and traces, and attach the function to its network. */
export function createFunctionRole(scope: Construct, id: string, props: FunctionRoleProps): iam.Role {
  const { functionName, logGroup, isInNetwork } = props;
  const role = new iam.Role(scope, id, {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    description: `Execution role of ${functionName}`,
  });
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logGroup.logGroupArn],
    }),
  );
  if (isInNetwork) {
    allowNetworkInterfaces(role, functionName);
  }
  Validations.of(role).acknowledge({
    id: 'AwsSolutions-IAM5[Resource::*]',
    reason: isInNetwork
      ? 'Network interfaces have no ARN before they are created, and X-Ray has no resource-level permissions. ' +
        'The code of the function is denied the actions on network interfaces.'
      : 'X-Ray has no resource-level permissions.',
  });
  return role;
}

/**
 * Lambda attaches the function to the network with the permissions of the function's role. The code
 * of the function does not need them.
 */
function allowNetworkInterfaces(role: iam.Role, functionName: string): void {
  role.addToPolicy(new iam.PolicyStatement({ actions: NETWORK_INTERFACE_ACTIONS, resources: ['*'] }));
  const functionArn = Stack.of(role).formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: functionName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  role.addToPolicy(
    new iam.PolicyStatement({
      effect: iam.Effect.DENY,
      actions: NETWORK_INTERFACE_ACTIONS,
      resources: ['*'],
      conditions: { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } },
    }),
  );
}
