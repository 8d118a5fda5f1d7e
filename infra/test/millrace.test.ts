// The construct in an app of its user: defaults, an existing VPC, grants and what it exposes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { createApp } from '../lib/app.ts';
import { Millrace, type MillraceProps, NODE_CACHE } from '../lib/index.ts';
import { settingsOf } from '../lib/props.ts';
import { DEFAULTS } from '../lib/settings.ts';
import { codeDirectory, type IamStatement, propertiesOfType, resourcesOfType } from './support.ts';

interface Game {
  stack: Stack;
  queues: Millrace;
  server: iam.Role;
}

function createGame(props: (stack: Stack) => Partial<MillraceProps> = () => ({})): Game {
  const stack = new Stack(createApp({ checked: false }), 'Game');
  const queues = new Millrace(stack, 'Queues', { codeDirectory, ...props(stack) });
  const server = new iam.Role(stack, 'Server', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  return { stack, queues, server };
}

test('with defaults there is no network, data is kept, and everything is named after the stage', () => {
  const { stack, queues } = createGame();
  const template = Template.fromStack(stack);
  assert.deepEqual(propertiesOfType(template, 'AWS::EC2::VPC'), []);
  assert.equal(queues.vpc, undefined);
  assert.equal(queues.prefix, 'millrace-production-');
  for (const { Properties, DeletionPolicy } of resourcesOfType(template, 'AWS::DynamoDB::Table')) {
    assert.match(Properties.TableName, /^millrace-production-/);
    assert.deepEqual([Properties.DeletionProtectionEnabled, DeletionPolicy], [true, 'RetainExceptOnCreate']);
  }
  assert.equal(propertiesOfType(template, 'AWS::CloudWatch::Alarm').length, 5);
  assert.equal(template.toJSON()['Outputs'], undefined);
});

test('properties change only what they name', () => {
  const settings = settingsOf({
    codeDirectory,
    stage: 'game',
    functions: { 'process-tasks': { memoryMiB: 1024 } },
    queues: { ticks: { maxConcurrency: 20 } },
    api: { requestsPerSecond: 200 },
  });
  const { 'process-tasks': processTasks, ...functions } = DEFAULTS.functions;
  assert.deepEqual(settings, {
    ...DEFAULTS,
    stage: 'game',
    functions: { ...functions, 'process-tasks': { ...processTasks, memoryMiB: 1024 } },
    queues: { ...DEFAULTS.queues, ticks: { ...DEFAULTS.queues.ticks, maxConcurrency: 20 } },
    api: { ...DEFAULTS.api, requestsPerSecond: 200 },
  });
});

test('a property that is not allowed stops the synthesis', () => {
  assert.throws(() => createGame(() => ({ stage: 'My Game' })), /stage=My Game is not allowed/);
});

test('two deployments can be in one stack', () => {
  const { stack } = createGame();
  new Millrace(stack, 'Other', { codeDirectory, stage: 'other' });
  assert.equal(propertiesOfType(Template.fromStack(stack), 'AWS::Lambda::Function').length, 8);
});

/** A VPC with NAT gateways, and isolated subnets for the cache. */
function existingVpc(stack: Stack): ec2.Vpc {
  return new ec2.Vpc(stack, 'Vpc', {
    subnetConfiguration: [
      { name: 'public', subnetType: ec2.SubnetType.PUBLIC },
      { name: 'private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      { name: 'data', subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
    ],
  });
}

test('an existing VPC is used, with endpoints in its isolated subnets', () => {
  const { stack, queues } = createGame((scope) => ({ cache: NODE_CACHE, network: { vpc: existingVpc(scope) } }));
  const template = Template.fromStack(stack);
  assert.equal(propertiesOfType(template, 'AWS::EC2::VPC').length, 1);
  assert.ok(queues.vpc !== undefined);
  assert.equal(propertiesOfType(template, 'AWS::EC2::VPCEndpoint').length, 2);
  const [{ SubnetIds }] = propertiesOfType(template, 'AWS::ElastiCache::SubnetGroup');
  assert.match(JSON.stringify(SubnetIds), /VpcdataSubnet1/);
});

test('an existing VPC with NAT gateways needs no endpoints', () => {
  const { stack } = createGame((scope) => ({
    cache: { kind: 'serverless', engineVersion: '8' },
    network: {
      vpc: existingVpc(scope),
      subnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      createEndpoints: false,
    },
  }));
  const template = Template.fromStack(stack);
  assert.deepEqual(propertiesOfType(template, 'AWS::EC2::VPCEndpoint'), []);
  const [{ SubnetIds }] = propertiesOfType(template, 'AWS::ElastiCache::ServerlessCache');
  assert.match(JSON.stringify(SubnetIds), /VpcprivateSubnet1/);
});

function grantedActions({ stack }: Game): string[] {
  const policies = propertiesOfType(Template.fromStack(stack), 'AWS::IAM::Policy');
  const ofServer = policies.filter(({ Roles }) => /"Server/.test(JSON.stringify(Roles)));
  const statements = ofServer.flatMap(({ PolicyDocument }) => PolicyDocument.Statement as IamStatement[]);
  return statements.flatMap(({ Action, Resource }) =>
    [Action].flat().map((action) => `${action} ${/Queues[A-Za-z]+/.exec(JSON.stringify(Resource))?.[0]}`),
  );
}

test('grants allow exactly what they say', () => {
  const game = createGame(() => ({ events: { queue: true } }));
  game.queues.grantSendCommands(game.server);
  game.queues.grantPutEvents(game.server);
  game.queues.grantReadEvents(game.server);
  const granted = grantedActions(game);
  for (const expected of ['sqs:SendMessage', 'events:PutEvents', 'sqs:ReceiveMessage', 'sqs:DeleteMessage']) {
    assert.ok(
      granted.some((line) => line.startsWith(expected)),
      `${expected} of ${granted.join(', ')}`,
    );
  }
  assert.ok(
    granted.every((line) => !/DeadLetters|Tables/.test(line)),
    granted.join(', '),
  );
});

test('events cannot be read from a queue that is not created', () => {
  const { queues, server } = createGame();
  assert.throws(() => queues.grantReadEvents(server), /grantReadEvents needs a queue of events: set events.queue/);
});

test('queues, tables, functions and metrics are exposed', () => {
  const { queues, stack } = createGame();
  assert.equal(stack.resolve(queues.tables.queues.tableName).Ref.startsWith('QueuesTablesQueues'), true);
  assert.equal(queues.deadLetterQueues.length, 4);
  assert.ok(queues.functions['process-tasks'].live.functionArn.length > 0);
  assert.equal(queues.metric('CommandsApplied').toMetricConfig().metricStat?.namespace, 'Millrace/production');
  assert.equal(queues.eventsQueue, undefined);
});
