// The configuration of the functions and of their versions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApp } from '../lib/app.ts';
import { FUNCTION_NAMES, type FunctionName, type Settings, stages } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';
import {
  dev,
  devWithDirectTicks,
  findProperties,
  production,
  productionWithNodes,
  propertiesOfType,
  resourcesOf,
  synthesize,
} from './support.ts';

const FUNCTION = 'AWS::Lambda::Function';

function productionFunction(name: FunctionName): any {
  return findProperties(production, FUNCTION, 'FunctionName', `millrace-production-${name}`);
}

test('functions run on arm64 and with tracing', () => {
  for (const name of FUNCTION_NAMES) {
    const properties = productionFunction(name);
    assert.deepEqual(properties.Architectures, ['arm64']);
    assert.equal(properties.Runtime, 'provided.al2023');
    assert.equal(properties.TracingConfig.Mode, 'Active');
  }
});

test('functions that use the cache are in isolated subnets', () => {
  for (const name of FUNCTION_NAMES) {
    const subnets = productionFunction(name).VpcConfig?.SubnetIds.length;
    assert.equal(subnets, name === 'advance-queues' ? undefined : 3, name);
  }
  const direct = synthesize({ ...stages.production, ticks: 'direct' });
  for (const { VpcConfig } of propertiesOfType(direct, FUNCTION)) {
    assert.equal(VpcConfig.SubnetIds.length, 3, 'without a ticks queue advance-queues uses the cache');
  }
});

test('a function reserves concurrency only if its settings say so', () => {
  const { functions } = stages.production;
  const reserved = { ...functions, 'queue-api': { ...functions['queue-api'], reservedConcurrency: 20 } };
  const counts = (settings: Settings) =>
    propertiesOfType(synthesize(settings), FUNCTION).map((properties) => properties.ReservedConcurrentExecutions);
  assert.deepEqual(new Set(counts(stages.production)), new Set([undefined]));
  assert.deepEqual(new Set(counts({ ...stages.production, functions: reserved })), new Set([undefined, 20]));
});

test('the environment of every function names the store and the cache', () => {
  for (const name of FUNCTION_NAMES) {
    const variables = productionFunction(name).Environment.Variables;
    assert.equal(variables.MILLRACE_STORE, 'dynamodb');
    assert.equal(variables.MILLRACE_TABLE_PREFIX, 'millrace-production-');
    if (name !== 'advance-queues') {
      assert.equal(variables.MILLRACE_REDIS_IAM_CACHE_NAME, 'millrace-production-cache');
      assert.match(
        JSON.stringify(variables.MILLRACE_REDIS_URL),
        /^{"Fn::Join":\["",\["rediss:\/\/millrace-production-(tasks|upkeep)@/,
      );
    }
    assert.equal('MILLRACE_AUTH' in variables, false);
  }
});

test('advance-queues knows the interval of its schedule, and where to send ticks', () => {
  for (const name of FUNCTION_NAMES) {
    const variables = productionFunction(name).Environment.Variables;
    const isAdvanceQueues = name === 'advance-queues';
    assert.equal(variables.MILLRACE_ADVANCE_PERIOD_SECONDS, isAdvanceQueues ? '60' : undefined);
    assert.equal(variables.MILLRACE_ADVANCE_SLACK_SECONDS, isAdvanceQueues ? '60' : undefined);
    assert.equal('MILLRACE_TICKS_QUEUE_URL' in variables, isAdvanceQueues);
  }
});

test('maintain-cache knows the interval of its schedule', () => {
  for (const name of FUNCTION_NAMES) {
    const { MILLRACE_WARM_INTERVAL_SECONDS } = productionFunction(name).Environment.Variables;
    assert.equal(MILLRACE_WARM_INTERVAL_SECONDS, name === 'maintain-cache' ? '900' : undefined);
  }
  const [schedule] = propertiesOfType(production, 'AWS::Scheduler::Schedule').filter(({ Name }) => Name === 'upkeep');
  assert.equal(schedule.ScheduleExpression, 'rate(15 minutes)');
});

test('the environment of a stage reaches all functions', () => {
  const changed = synthesize({ ...stages.dev, environment: { MILLRACE_INACTIVE_PAUSE_DAYS: '14' } });
  for (const { Environment } of propertiesOfType(changed, FUNCTION)) {
    assert.equal(Environment.Variables.MILLRACE_INACTIVE_PAUSE_DAYS, '14');
  }
});

test('queues are not paused by inactivity unless a stage sets it', () => {
  for (const template of [production, dev]) {
    for (const { Environment } of propertiesOfType(template, FUNCTION)) {
      assert.equal('MILLRACE_INACTIVE_PAUSE_DAYS' in Environment.Variables, false);
    }
  }
});

test('a stage without a ticks queue sends no ticks', () => {
  assert.equal(JSON.stringify(resourcesOf(devWithDirectTicks)).includes('MILLRACE_TICKS_QUEUE_URL'), false);
});

test('log groups have a retention', () => {
  const groups = propertiesOfType(productionWithNodes, 'AWS::Logs::LogGroup');
  assert.equal(groups.length, 8);
  for (const { RetentionInDays } of groups) {
    assert.equal(RetentionInDays, 30);
  }
});

test('a missing function fails the synthesis with its path', () => {
  const build = () =>
    new MillraceStack(createApp({ checked: false }), { settings: stages.dev, codeDirectory: '/nowhere' });
  assert.throws(
    build,
    /\/nowhere\/process-tasks\/bootstrap and \/nowhere\/process-tasks.zip are missing: build the functions/,
  );
});
