// How a new version of a function takes over from the previous one.

import { Validations } from 'aws-cdk-lib';
import * as codedeploy from 'aws-cdk-lib/aws-codedeploy';
import { Construct } from 'constructs';
import { idOf } from './construct-ids.ts';
import type { Alarms } from './alarms/alarms.ts';
import { isCanary } from './alarms/rollback-alarms.ts';
import type { Functions } from './functions.ts';
import type { Settings } from './settings.ts';

/** The policy that the CDK attaches to the role of CodeDeploy. */
const CODEDEPLOY_POLICY = 'arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited';

export interface DeploymentProps {
  prefix: string;
  functions: Functions;
  alarms: Alarms;
  deployment: Settings['deployment'];
  /** CodeDeploy deploys although an alarm is active, and does not roll back on an alarm. */
  ignoreAlarms: boolean;
}

/**
 * CodeDeploy moves the alias of each function, and rolls back if an alarm of the function becomes
 * active.
 */
export class Deployment extends Construct {
  constructor(scope: Construct, id: string, props: DeploymentProps) {
    super(scope, id);
    const application = new codedeploy.LambdaApplication(this, 'Application', {
      applicationName: `${props.prefix}functions`,
    });
    for (const [name, { live }] of props.functions.all) {
      const alarms = props.alarms.rollbackAlarmsOf(name);
      const group = new codedeploy.LambdaDeploymentGroup(this, idOf(name), {
        application,
        alias: live,
        deploymentGroupName: `${props.prefix}${name}`,
        deploymentConfig: isCanary(name, props.deployment)
          ? codedeploy.LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES
          : codedeploy.LambdaDeploymentConfig.ALL_AT_ONCE,
        alarms,
        // While an alarm is active, CodeDeploy starts no deployment, not even one that fixes the
        // cause.
        ignoreAlarmConfiguration: props.ignoreAlarms,
        autoRollback: { failedDeployment: true, stoppedDeployment: true, deploymentInAlarm: alarms.length > 0 },
      });
      Validations.of(group).acknowledge({
        id: `AwsSolutions-IAM4[Policy::${CODEDEPLOY_POLICY}]`,
        reason: 'AWS maintains this policy for CodeDeploy, and it is limited to Lambda deployments.',
      });
    }
  }
}
