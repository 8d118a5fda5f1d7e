// The CDK app and its checks; what is the same for deployments, tests and the emulator.

import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

/** Behaviours of the CDK that are newer than its defaults. */
const FLAGS = {
  '@aws-cdk/aws-codedeploy:removeAlarmsFromDeploymentGroup': true,
  '@aws-cdk/aws-events:eventsTargetQueueSameAccount': true,
  '@aws-cdk/aws-iam:minimizePolicies': true,
  '@aws-cdk/core:checkSecretUsage': true,
  '@aws-cdk/core:enablePartitionLiterals': true,
};

export interface AppOptions {
  /** Where to put what is synthesized. */
  outdir?: string;
  /** Refuses the app where cdk-nag finds something that nobody has explained. */
  checked?: boolean;
}

/** The templates themselves are checked by cfn-lint, which knows more than the CDK's own rules and takes half the time. */
export function createApp({ outdir, checked = true }: AppOptions = {}): App {
  const app = new App({
    analyticsReporting: false,
    builtinCloudFormationValidation: false,
    postCliContext: FLAGS,
    ...(outdir !== undefined && { outdir }),
  });
  if (checked) {
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }));
  }
  return app;
}
