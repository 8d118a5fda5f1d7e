// How new versions take over, and when they are rolled back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { dev, production, propertiesOfType, resourcesOfType } from './support.ts';

function deploymentGroups(template: Template): any[] {
  return propertiesOfType(template, 'AWS::CodeDeploy::DeploymentGroup');
}

test('all callers invoke the alias of a function', () => {
  const callers = [
    'AWS::Lambda::EventSourceMapping',
    'AWS::Events::Rule',
    'AWS::Scheduler::Schedule',
    'AWS::ApiGatewayV2::Integration',
  ];
  for (const type of callers) {
    for (const properties of propertiesOfType(production, type)) {
      assert.match(JSON.stringify(properties), /Live[A-F0-9]{8}/, type);
    }
  }
});

test('CodeDeploy moves every alias', () => {
  const aliases = resourcesOfType(production, 'AWS::Lambda::Alias');
  assert.equal(aliases.length, 4);
  for (const { UpdatePolicy } of aliases) {
    assert.ok(UpdatePolicy && 'CodeDeployLambdaAliasUpdate' in UpdatePolicy);
  }
});

test('functions with much traffic have a canary in production', () => {
  const configurations = deploymentGroups(production).map(({ DeploymentGroupName, DeploymentConfigName }) =>
    `${DeploymentGroupName} ${DeploymentConfigName}`.replaceAll(/millrace-production-|CodeDeployDefault.Lambda/g, ''),
  );
  assert.deepEqual(configurations, [
    'process-tasks Canary10Percent5Minutes',
    // Invoked once a minute or less: a tenth of that for five minutes shows nothing.
    'advance-queues AllAtOnce',
    'queue-api Canary10Percent5Minutes',
    'maintain-cache AllAtOnce',
  ]);
});

test('new versions take over at once in dev', () => {
  for (const { DeploymentConfigName } of deploymentGroups(dev)) {
    assert.equal(DeploymentConfigName, 'CodeDeployDefault.LambdaAllAtOnce');
  }
});

test('an alarm or a failure rolls a deployment back', () => {
  for (const properties of deploymentGroups(production)) {
    // Errors and durations; for a canary also errors and failures of the new version.
    const isCanary = /Canary/.test(properties.DeploymentConfigName);
    assert.equal(properties.AlarmConfiguration.Alarms.length, isCanary ? 4 : 2);
    assert.deepEqual(properties.AutoRollbackConfiguration.Events, [
      'DEPLOYMENT_FAILURE',
      'DEPLOYMENT_STOP_ON_REQUEST',
      'DEPLOYMENT_STOP_ON_ALARM',
    ]);
  }
});
