// How a new version of a function takes over from the one before.

import { Validations } from 'aws-cdk-lib';
import * as codedeploy from 'aws-cdk-lib/aws-codedeploy';
import { Construct } from 'constructs';
import type { Alarms } from './alarms.ts';
import type { Functions } from './functions.ts';
import { isCanary } from './rollback.ts';
import type { Settings } from './settings.ts';

export interface DeploymentProps {
  prefix: string;
  functions: Functions;
  alarms: Alarms;
  deployment: Settings['deployment'];
  /** CodeDeploy neither waits for alarms to be over, nor goes back for one. */
  ignoreAlarms: boolean;
}

/** CodeDeploy moves the aliases. It goes back by itself when an alarm of the function rings meanwhile. */
export class Deployment extends Construct {
  constructor(scope: Construct, id: string, props: DeploymentProps) {
    super(scope, id);
    const application = new codedeploy.LambdaApplication(this, 'Application', {
      applicationName: `${props.prefix}functions`,
    });
    for (const [name, { live }] of props.functions.all) {
      const group = new codedeploy.LambdaDeploymentGroup(this, name, {
        application,
        alias: live,
        deploymentGroupName: `${props.prefix}${name}`,
        deploymentConfig: isCanary(name, props.deployment)
          ? codedeploy.LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES
          : codedeploy.LambdaDeploymentConfig.ALL_AT_ONCE,
        alarms: props.alarms.rollbackOf(name),
        // While one of them rings no deployment starts: not even the one that mends what it rings for.
        ignoreAlarmConfiguration: props.ignoreAlarms,
        autoRollback: { failedDeployment: true, stoppedDeployment: true, deploymentInAlarm: true },
      });
      Validations.of(group).acknowledge({
        id: 'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]',
        reason: 'What CodeDeploy calls is up to CodeDeploy; this policy of AWS says it, and no more.',
      });
    }
  }
}
