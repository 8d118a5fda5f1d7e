// The alarms on which CodeDeploy rolls a canary back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idOf } from '../lib/construct-ids.ts';
import { alarms, dimensionOf, hasExpression, metricStatsOf } from './alarm-support.ts';
import { dev, findProperties, production, productionWithNodes, propertiesOfType, resourcesOf } from './support.ts';

const CANARIES = [
  { name: 'process-tasks', failed: 'MessagesFailed', total: 'Messages' },
  { name: 'queue-api', failed: '5xx', total: 'Count' },
];

for (const { name, failed, total } of CANARIES) {
  test(`one failed invocation of the new version of ${name} activates an alarm`, () => {
    const alarm = alarms[`${name}-new-version-errors`];
    const { MetricName, Namespace, Statistic, Period } = alarm;
    assert.deepEqual([Namespace, MetricName, Statistic, Period], ['AWS/Lambda', 'Errors', 'Sum', 60]);
    const version = dimensionOf(alarm, 'ExecutedVersion') as { 'Fn::GetAtt': [string] };
    assert.equal(resourcesOf(productionWithNodes)[version['Fn::GetAtt'][0]]?.Type, 'AWS::Lambda::Version');
  });

  test(`a percentage of failures within invocations of ${name} activates an alarm`, () => {
    const alarm = `${name}-new-version-failures`;
    const metrics = metricStatsOf(alarm);
    assert.deepEqual(
      metrics.map(({ Metric }) => Metric.MetricName),
      [failed, total],
    );
    assert.deepEqual(
      metrics.map(({ Period }) => Period),
      [60, 60],
    );
    assert.ok(hasExpression(alarm, 'IF(part >= 5, 100 * part / whole, 0)'));
  });

  test(`CodeDeploy watches both alarms of ${name}`, () => {
    const type = 'AWS::CodeDeploy::DeploymentGroup';
    const group = findProperties(production, type, 'DeploymentGroupName', `millrace-production-${name}`);
    const watched = JSON.stringify(group.AlarmConfiguration);
    const id = idOf(name);
    assert.match(watched, new RegExp(`${id}NewVersionErrors`));
    assert.match(watched, new RegExp(`${id}NewVersionFailures`));
  });
}

test('there are no rollback alarms where new versions take over at once', () => {
  const names = propertiesOfType(dev, 'AWS::CloudWatch::Alarm').map(({ AlarmName }) => AlarmName);
  assert.deepEqual(
    names.filter((name) => /-new-version-/.test(name)),
    [],
  );
});
