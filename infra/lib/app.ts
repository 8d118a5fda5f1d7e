// The CDK app, as deployments, tests and the emulator use it.

import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

/** CDK behaviours that are newer than the defaults. */
const FEATURE_FLAGS = {
  '@aws-cdk/aws-codedeploy:removeAlarmsFromDeploymentGroup': true,
  '@aws-cdk/aws-events:eventsTargetQueueSameAccount': true,
  '@aws-cdk/aws-iam:minimizePolicies': true,
  '@aws-cdk/core:checkSecretUsage': true,
  '@aws-cdk/core:enablePartitionLiterals': true,
};

export interface AppOptions {
  /** Output directory of the synthesis. */
  outdir?: string;
  /** Fails the synthesis on every finding of cdk-nag that the code does not acknowledge. */
  checked?: boolean;
}

export function createApp({ outdir, checked = true }: AppOptions = {}): App {
  const app = new App({
    analyticsReporting: false,
    // `make infra-test` runs cfn-lint instead, which checks more and takes half the time.
    builtinCloudFormationValidation: false,
    postCliContext: FEATURE_FLAGS,
    ...(outdir !== undefined && { outdir }),
  });
  if (checked) {
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }));
  }
  return app;
}
