// What can be said on the command line, and what cannot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optionsFrom } from '../lib/options.ts';
import { stages } from '../lib/settings.ts';
import { all, production, template } from './support.ts';

const options = (context: Record<string, string>) => optionsFrom((name) => context[name]);

test('options are those of one deployment', () => {
  assert.deepEqual(options({}), { settings: stages.dev, ignoreAlarms: false });
  assert.deepEqual(options({ stage: 'production', functions: '/built', ignoreAlarms: 'true' }), {
    settings: stages.production,
    codeDirectory: '/built',
    ignoreAlarms: true,
  });
  assert.throws(() => options({ stage: 'prod' }), /-c stage=prod is not allowed; allowed: dev, production/);
  assert.throws(() => options({ ignoreAlarms: 'yes' }), /-c ignoreAlarms=yes is not allowed; allowed: true, false/);
});

test('what a forgotten option would take back is a setting of the stage', () => {
  for (const [name, setting] of [
    ['email', 'alarms.email'],
    ['issuer', 'api.authorization'],
    ['audience', 'api.authorization'],
  ] as const) {
    assert.throws(
      () => options({ stage: 'production', [name]: 'https://x' }),
      new RegExp(`-c ${name}=https://x is not allowed; allowed: ${setting} of the stage in infra/lib/settings.ts`),
    );
  }
  const reached = template({ ...stages.production, alarms: { ...stages.production.alarms, email: 'you@example.com' } });
  assert.deepEqual(
    all(reached, 'AWS::SNS::Subscription').map(({ Properties }) => [Properties.Protocol, Properties.Endpoint]),
    [['email', 'you@example.com']],
  );
});

test('the version that mends what an alarm rings for can be deployed while it rings', () => {
  const groups = (stage: typeof production) =>
    all(stage, 'AWS::CodeDeploy::DeploymentGroup').map(({ Properties }) => Properties.AlarmConfiguration.Enabled);
  assert.deepEqual(groups(production), [true, true, true, true]);
  assert.deepEqual(groups(template(stages.production, false, { ignoreAlarms: true })), [false, false, false, false]);
});
