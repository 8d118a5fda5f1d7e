// Functions: what each may do, what invokes it, and how a new version takes over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FUNCTION_NAMES, type FunctionName, stages } from '../lib/settings.ts';
import { all, dev, one, production, type Resource, resources, target, template } from './support.ts';

interface Statement {
  Effect: string;
  Action: string | string[];
  Resource: unknown;
  Condition?: object;
}

const list = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);
const fn = (name: FunctionName, stage = production) =>
  one(stage, 'AWS::Lambda::Function', 'FunctionName', `millrace-${stage === production ? 'production' : 'dev'}-${name}`)
    .Properties;

/** What a function's role allows: `action on resource`, sorted. */
function allowed(name: FunctionName, stage = production): string[] {
  const role = fn(name, stage).Role['Fn::GetAtt'][0];
  const policies = all(stage, 'AWS::IAM::Policy').filter(({ Properties }) =>
    JSON.stringify(Properties.Roles).includes(role),
  );
  const statements = policies.flatMap(({ Properties }) => Properties.PolicyDocument.Statement as Statement[]);
  return statements
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(({ Action, Resource }) =>
      list(Action).flatMap((action) =>
        list(Resource).map(
          (resource) => `${action} on ${target(stage, resource).replaceAll(/millrace-(production|dev)-/g, '')}`,
        ),
      ),
    )
    .filter((line) => !line.startsWith('ec2:') && !line.startsWith('kms:'))
    .sort();
}

const on = (resource: string, ...actions: string[]) => actions.map((action) => `${action} on ${resource}`);
const dynamo = (table: string, ...actions: string[]) => on(table, ...actions.map((action) => `dynamodb:${action}`));
const QUEUES = dynamo('queues', 'BatchGetItem', 'GetItem', 'PartiQLInsert', 'PartiQLUpdate', 'PutItem');
const RECORDS = [
  ...dynamo('progress', 'BatchGetItem', 'BatchWriteItem'),
  ...['history', 'rejections', 'stats'].flatMap((table) => dynamo(table, 'BatchWriteItem')),
];
const consume = (queue: string) =>
  on(
    queue,
    ...['ChangeMessageVisibility', 'DeleteMessage', 'GetQueueAttributes', 'GetQueueUrl', 'ReceiveMessage'].map(
      (a) => `sqs:${a}`,
    ),
  );
const everybody = (name: FunctionName) => [
  ...on(`/aws/lambda/${name}`, 'logs:CreateLogStream', 'logs:PutLogEvents'),
  ...on('"*"', 'xray:PutTelemetryRecords', 'xray:PutTraceSegments'),
  ...on('undelivered', 'sqs:SendMessage', 'sqs:GetQueueAttributes', 'sqs:GetQueueUrl'),
];

/** Without the names that CloudFormation makes out of constructs. */
function without(lines: string[], pattern: RegExp): string[] {
  return lines.filter((line) => !pattern.test(line));
}

const expected: Record<FunctionName, string[]> = {
  'process-tasks': [...QUEUES, ...RECORDS, ...consume('commands.fifo'), ...consume('progress'), ...consume('ticks')],
  'advance-queues': [
    ...dynamo('queues', 'GetItem'),
    ...dynamo('queues/index/due', 'Query'),
    ...on('ticks', 'sqs:SendMessage'),
  ],
  'queue-api': [
    ...QUEUES,
    ...RECORDS,
    ...dynamo('stats', 'GetItem'),
    ...dynamo('history', 'Query'),
    ...dynamo('rejections', 'Query'),
    ...dynamo('queues/index/due', 'Query'),
  ],
  'maintain-cache': [
    ...dynamo('queues', 'BatchGetItem', 'GetItem'),
    ...dynamo('progress', 'BatchGetItem'),
    // Whoever loads a row writes down again what its last commit led to.
    ...['history', 'rejections', 'stats'].flatMap((table) => dynamo(table, 'BatchWriteItem')),
    ...dynamo('stats', 'GetItem'),
    ...dynamo('queues/index/due', 'Query'),
  ],
};

for (const name of FUNCTION_NAMES) {
  test(`${name} may do what it does, and nothing else`, () => {
    const lines = without(allowed(name), /^elasticache:Connect/);
    assert.deepEqual(lines, [...expected[name], ...everybody(name)].sort());
    // The cache, as the right one of its users.
    const user = ['queue-api', 'maintain-cache'].includes(name) ? 'upkeep' : 'tasks';
    const connect = allowed(name).filter((line) => line.startsWith('elasticache:Connect'));
    assert.equal(connect.length, 2);
    assert.ok(
      connect.some((line) => line.includes(`:user:${user}`)),
      connect.join('\n'),
    );
    assert.ok(
      connect.some((line) => line.includes(':replicationgroup:cache')),
      connect.join('\n'),
    );
  });
}

test('functions are for arm64, in isolated subnets, traced, and told where everything is', () => {
  for (const name of FUNCTION_NAMES) {
    const properties = fn(name);
    assert.deepEqual(properties.Architectures, ['arm64']);
    assert.equal(properties.Runtime, 'provided.al2023');
    assert.equal(properties.TracingConfig.Mode, 'Active');
    assert.equal(properties.VpcConfig.SubnetIds.length, 3);
    const variables = properties.Environment.Variables;
    assert.equal(variables.MILLRACE_STORE, 'dynamodb');
    assert.equal(variables.MILLRACE_TABLE_PREFIX, 'millrace-production-');
    assert.equal(variables.MILLRACE_REDIS_IAM_CACHE_NAME, 'millrace-production-cache');
    assert.match(
      JSON.stringify(variables.MILLRACE_REDIS_URL),
      /^{"Fn::Join":\["",\["rediss:\/\/millrace-production-(tasks|upkeep)@/,
    );
    assert.equal('MILLRACE_AUTH' in variables, false);
    assert.equal(variables.MILLRACE_ADVANCE_PERIOD_SECONDS, name === 'advance-queues' ? '60' : undefined);
    assert.equal(variables.MILLRACE_ADVANCE_SLACK_SECONDS, name === 'advance-queues' ? '60' : undefined);
    assert.equal('MILLRACE_TICKS_QUEUE_URL' in variables, name === 'advance-queues');
  }
});

test('maintain-cache knows the interval of its schedule', () => {
  for (const name of FUNCTION_NAMES) {
    const { MILLRACE_WARM_INTERVAL_SECONDS } = fn(name).Environment.Variables;
    assert.equal(MILLRACE_WARM_INTERVAL_SECONDS, name === 'maintain-cache' ? '900' : undefined);
  }
});

test('settings of functions reach all of them', () => {
  const changed = template({ ...stages.dev, environment: { MILLRACE_INACTIVE_PAUSE_DAYS: '14' } });
  for (const { Properties } of all(changed, 'AWS::Lambda::Function')) {
    assert.equal(Properties.Environment.Variables.MILLRACE_INACTIVE_PAUSE_DAYS, '14');
  }
});

test('logs end some time', () => {
  const groups = all(production, 'AWS::Logs::LogGroup');
  assert.equal(groups.length, 8);
  for (const { Properties } of groups) {
    assert.equal(Properties.RetentionInDays, 30);
  }
});

test('queues hand out batches whose messages fail one by one', () => {
  const sources = all(production, 'AWS::Lambda::EventSourceMapping').map(({ Properties }) => ({
    queue: target(production, Properties.EventSourceArn),
    batch: Properties.BatchSize,
    window: Properties.MaximumBatchingWindowInSeconds,
    concurrency: Properties.ScalingConfig.MaximumConcurrency,
    partial: Properties.FunctionResponseTypes,
    live: JSON.stringify(Properties.FunctionName).includes('processtasks'),
  }));
  const partial = ['ReportBatchItemFailures'];
  const prefix = 'millrace-production-';
  assert.deepEqual(sources, [
    { queue: `${prefix}commands.fifo`, batch: 10, window: undefined, concurrency: 50, partial, live: true },
    { queue: `${prefix}progress`, batch: 1000, window: 1, concurrency: 10, partial, live: true },
    { queue: `${prefix}ticks`, batch: 10, window: undefined, concurrency: 10, partial, live: true },
  ]);
});

test('what is called without an answer is set aside where it fails', () => {
  const undelivered = (reference: unknown) => target(production, reference) === 'millrace-production-undelivered';
  const invocations = all(production, 'AWS::Lambda::EventInvokeConfig');
  assert.equal(invocations.length, 4);
  for (const { Properties } of invocations) {
    assert.ok(undelivered(Properties.DestinationConfig.OnFailure.Destination));
    assert.match(JSON.stringify(Properties.Qualifier), /live[A-F0-9]{8}/);
  }
  const [rule] = all(production, 'AWS::Events::Rule');
  assert.deepEqual(rule?.Properties.EventPattern, { 'detail-type': ['TaskQueueCommand'] });
  assert.ok(undelivered(rule?.Properties.Targets[0].DeadLetterConfig.Arn));
  const schedules = all(production, 'AWS::Scheduler::Schedule').map(({ Properties }: Resource) => [
    Properties.Name,
    Properties.ScheduleExpression,
    Properties.Target.Input,
    undelivered(Properties.Target.DeadLetterConfig.Arn),
  ]);
  assert.deepEqual(schedules, [
    ['advance-queues', 'rate(1 minute)', '{}', true],
    ['upkeep', 'rate(15 minutes)', '{"action":"upkeep"}', true],
  ]);
});

test('everything calls the alias, which a canary moves and an alarm moves back', () => {
  for (const type of [
    'AWS::Lambda::EventSourceMapping',
    'AWS::Events::Rule',
    'AWS::Scheduler::Schedule',
    'AWS::ApiGatewayV2::Integration',
  ]) {
    for (const { Properties } of all(production, type)) {
      assert.match(JSON.stringify(Properties), /live[A-F0-9]{8}/, type);
    }
  }
  const aliases = all(production, 'AWS::Lambda::Alias');
  assert.equal(aliases.length, 4);
  for (const alias of aliases) {
    assert.ok(alias.UpdatePolicy && 'CodeDeployLambdaAliasUpdate' in alias.UpdatePolicy);
  }
  const groups = (stage: typeof production) =>
    all(stage, 'AWS::CodeDeploy::DeploymentGroup').map(({ Properties }) => Properties);
  const pace = (properties: { DeploymentGroupName: string; DeploymentConfigName: string }) =>
    `${properties.DeploymentGroupName} ${properties.DeploymentConfigName}`.replaceAll(
      /millrace-production-|CodeDeployDefault.Lambda/g,
      '',
    );
  // A function that is called once a minute shows nothing in a tenth of five minutes.
  assert.deepEqual(groups(production).map(pace), [
    'process-tasks Canary10Percent5Minutes',
    'advance-queues AllAtOnce',
    'queue-api Canary10Percent5Minutes',
    'maintain-cache AllAtOnce',
  ]);
  for (const properties of groups(production)) {
    // Errors and durations, and what only new versions are judged by.
    const canary = /Canary/.test(properties.DeploymentConfigName);
    assert.equal(properties.AlarmConfiguration.Alarms.length, canary ? 4 : 2);
    assert.deepEqual(properties.AutoRollbackConfiguration.Events, [
      'DEPLOYMENT_FAILURE',
      'DEPLOYMENT_STOP_ON_REQUEST',
      'DEPLOYMENT_STOP_ON_ALARM',
    ]);
  }
  for (const properties of groups(dev)) {
    assert.equal(properties.DeploymentConfigName, 'CodeDeployDefault.LambdaAllAtOnce');
  }
});

test('a stage without ticks needs neither the endpoint nor the right to send them', () => {
  assert.equal(all(production, 'AWS::EC2::VPCEndpoint').length, 2);
  assert.equal(all(dev, 'AWS::EC2::VPCEndpoint').length, 1);
  assert.equal(JSON.stringify(resources(dev)).includes('MILLRACE_TICKS_QUEUE_URL'), false);
  // It advances queues itself there.
  const lines = without(allowed('advance-queues', dev), /^elasticache:Connect/);
  assert.deepEqual(
    lines,
    [...QUEUES, ...RECORDS, ...dynamo('queues/index/due', 'Query'), ...everybody('advance-queues')].sort(),
  );
});

test('a function that was not built is asked for by name', async () => {
  const { MillraceStack } = await import('../lib/stack.ts');
  const { createApp } = await import('../lib/app.ts');
  const build = () =>
    new MillraceStack(createApp({ checked: false }), { settings: stages.dev, codeDirectory: '/nowhere' });
  assert.throws(build, /\/nowhere\/process-tasks\/bootstrap is missing: build the functions with `make functions`/);
});
