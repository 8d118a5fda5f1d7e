// The options of a deployment.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { readOptions } from '../lib/options.ts';
import { stages } from '../lib/settings.ts';
import { production, propertiesOfType, synthesize } from './support.ts';

function optionsOf(context: Record<string, string>) {
  return readOptions((name) => context[name]);
}

test('options select the stage, the functions and whether alarms are ignored', () => {
  assert.deepEqual(optionsOf({}), { settings: stages.dev, ignoreAlarms: false });
  assert.deepEqual(optionsOf({ stage: 'production', functions: '/built', ignoreAlarms: 'true' }), {
    settings: stages.production,
    codeDirectory: '/built',
    ignoreAlarms: true,
  });
});

test('options with other values are refused', () => {
  assert.throws(() => optionsOf({ stage: 'prod' }), /-c stage=prod is not allowed; allowed: dev, production/);
  assert.throws(() => optionsOf({ ignoreAlarms: 'yes' }), /-c ignoreAlarms=yes is not allowed; allowed: true, false/);
});

test('settings of a stage are refused as options', () => {
  const settings = { email: 'alarms.warnings', issuer: 'api.authorization', audience: 'api.authorization' };
  for (const [name, setting] of Object.entries(settings)) {
    assert.throws(
      () => optionsOf({ stage: 'production', [name]: 'https://x' }),
      new RegExp(`-c ${name}=https://x is not allowed; allowed: ${setting} of the stage in infra/lib/settings.ts`),
    );
  }
});

test('ignoreAlarms deploys although an alarm is active', () => {
  const watchesAlarms = (template: Template) =>
    propertiesOfType(template, 'AWS::CodeDeploy::DeploymentGroup').map(
      ({ AlarmConfiguration }) => AlarmConfiguration.Enabled,
    );
  assert.deepEqual(watchesAlarms(production), [true, true, true, true]);
  const ignoring = synthesize(stages.production, { ignoreAlarms: true });
  assert.deepEqual(watchesAlarms(ignoring), [false, false, false, false]);
});
