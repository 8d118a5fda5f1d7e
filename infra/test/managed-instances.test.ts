// process-tasks on managed instances.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Settings, stages } from '../lib/settings.ts';
import { findProperties, production, propertiesOfType, referencedName, synthesize } from './support.ts';

const { functions } = stages.production;
const settings: Settings = {
  ...stages.production,
  functions: { ...functions, 'process-tasks': { ...functions['process-tasks'], memoryMiB: 4096 } },
  managedInstances: { maxVcpus: 24, memoryGiBPerVcpu: 4, concurrency: 16 },
  deployment: 'all-at-once',
};
const template = synthesize(settings);
const FUNCTION = 'AWS::Lambda::Function';
const PROVIDER = 'AWS::Lambda::CapacityProvider';

test('the instances are for arm64, in the subnets of the cache, and limited', () => {
  const [provider] = propertiesOfType(template, PROVIDER);
  assert.equal(provider.CapacityProviderName, 'millrace-production-instances');
  assert.deepEqual(provider.InstanceRequirements, { Architectures: ['arm64'] });
  assert.deepEqual(provider.CapacityProviderScalingConfig, { MaxVCpuCount: 24 });
  assert.equal(provider.VpcConfig.SubnetIds.length, 3);
  assert.equal(propertiesOfType(production, PROVIDER).length, 0);
});

test('only process-tasks runs on the instances, and is in no network itself', () => {
  for (const properties of propertiesOfType(template, FUNCTION)) {
    const isProcessTasks = properties.FunctionName === 'millrace-production-process-tasks';
    assert.equal('CapacityProviderConfig' in properties, isProcessTasks, properties.FunctionName);
  }
  const processTasks = findProperties(template, FUNCTION, 'FunctionName', 'millrace-production-process-tasks');
  const { CapacityProviderArn, ...config } =
    processTasks.CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig;
  assert.match(referencedName(template, CapacityProviderArn), /^MillraceFunctionsInstancesProvider/);
  assert.deepEqual(config, { ExecutionEnvironmentMemoryGiBPerVCpu: 4, PerExecutionEnvironmentMaxConcurrency: 16 });
  assert.equal(processTasks.VpcConfig, undefined);
  assert.match(JSON.stringify(processTasks.Environment.Variables.MILLRACE_REDIS_URL), /rediss:/);
});

test('the instances reach logs and traces through endpoints', () => {
  const actions = propertiesOfType(template, 'AWS::EC2::VPCEndpoint').map(
    ({ PolicyDocument }) => PolicyDocument.Statement[0].Action as string | string[],
  );
  assert.deepEqual(actions.flat().toSorted(), [
    'dynamodb:*',
    'events:PutEvents',
    'logs:CreateLogStream',
    'logs:PutLogEvents',
    'xray:PutTelemetryRecords',
    'xray:PutTraceSegments',
  ]);
});
