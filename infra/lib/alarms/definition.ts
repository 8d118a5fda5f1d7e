// The definition of an alarm, and its creation.

import { ArnFormat, type Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { idOf } from '../construct-ids.ts';
import type { FunctionName } from '../settings.ts';

/** The document with a section for each alarm. A test checks that every section exists. */
export const RUNBOOK = 'docs/operations.md';

export interface AlarmDefinition {
  /** Name without the prefix. */
  name: string;
  metric: cloudwatch.IMetric;
  threshold: number;
  /** Default: greater than the threshold. */
  comparison?: cloudwatch.ComparisonOperator;
  /**
   * `[m, n]`: the alarm becomes active if m of the last n periods breach the threshold. Default:
   * `[1, 1]`.
   */
  datapoints?: [number, number];
  /** What a period without data means. Default: it does not breach the threshold. */
  missingData?: cloudwatch.TreatMissingData;
  /** Description for the operator, as full sentences. */
  meaning: string;
  /** Anchor of the section in the runbook. */
  runbook: string;
  /** Includes the alarm in the composite alarm `players-are-affected`. */
  affectsPlayers?: boolean;
  /** Created with `monitoring: 'basic'` too. */
  isBasic?: boolean;
  /** Notifies both topics, because the notifications themselves fail. */
  notifiesAll?: boolean;
  /** CodeDeploy rolls back a new version of this function while the alarm is active. */
  rollsBack?: FunctionName;
}

export function createAlarm(scope: Construct, prefix: string, definition: AlarmDefinition): cloudwatch.Alarm {
  const [datapointsToAlarm, evaluationPeriods] = definition.datapoints ?? [1, 1];
  return new cloudwatch.Alarm(scope, idOf(definition.name), {
    alarmName: `${prefix}${definition.name}`,
    alarmDescription: alarmDescription(definition.meaning, definition.runbook),
    metric: definition.metric,
    threshold: definition.threshold,
    comparisonOperator: definition.comparison ?? cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    datapointsToAlarm,
    evaluationPeriods,
    treatMissingData: definition.missingData ?? cloudwatch.TreatMissingData.NOT_BREACHING,
  });
}

export function alarmDescription(meaning: string, runbook: string): string {
  return `${meaning} Runbook: ${RUNBOOK}#${runbook}`;
}

export function alarmArn(stack: Stack, name: string): string {
  return stack.formatArn({
    service: 'cloudwatch',
    resource: 'alarm',
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
