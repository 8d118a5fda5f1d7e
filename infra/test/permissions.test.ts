// The permissions of each function: exactly what it needs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { FUNCTION_NAMES, type FunctionName, stages } from '../lib/settings.ts';
import {
  dev,
  devWithDirectTicks,
  findProperties,
  type IamStatement,
  production,
  productionWithNodes,
  propertiesOfType,
  referencedName,
  synthesize,
} from './support.ts';

function toList<T>(value: T | T[]): T[] {
  return Array.isArray(value) ? value : [value];
}

/**
 * The allowed actions of a function's role as sorted lines `<action> on <resource>`. Permissions
 * for network interfaces and keys are left out.
 */
function allowedActions(name: FunctionName, template = production): string[] {
  return statementsOf(name, template)
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(({ Action, Resource }) =>
      toList(Action).flatMap((action) =>
        toList(Resource).map((resource) => `${action} on ${nameWithoutPrefix(template, resource)}`),
      ),
    )
    .filter((line) => !line.startsWith('ec2:') && !line.startsWith('kms:'))
    .toSorted();
}

function statementsOf(name: FunctionName, template: Template): IamStatement[] {
  const stage = [dev, devWithDirectTicks].includes(template) ? 'dev' : 'production';
  const fn = findProperties(template, 'AWS::Lambda::Function', 'FunctionName', `millrace-${stage}-${name}`);
  const role = fn.Role['Fn::GetAtt'][0];
  return propertiesOfType(template, 'AWS::IAM::Policy')
    .filter((policy) => JSON.stringify(policy.Roles).includes(role))
    .flatMap((policy) => policy.PolicyDocument.Statement as IamStatement[]);
}

function nameWithoutPrefix(template: Template, resource: unknown): string {
  return referencedName(template, resource).replaceAll(/millrace-(production|dev)-/g, '');
}

function actionsOn(resource: string, ...actions: string[]): string[] {
  return actions.map((action) => `${action} on ${resource}`);
}

function tableActions(table: string, ...actions: string[]): string[] {
  return actionsOn(table, ...actions.map((action) => `dynamodb:${action}`));
}

function receiveFrom(queue: string): string[] {
  const actions = ['ChangeMessageVisibility', 'DeleteMessage', 'GetQueueAttributes', 'GetQueueUrl', 'ReceiveMessage'];
  return actionsOn(queue, ...actions.map((action) => `sqs:${action}`));
}

const LOAD_AND_COMMIT = tableActions('queues', 'BatchGetItem', 'GetItem', 'PartiQLInsert', 'PartiQLUpdate', 'PutItem');
/** The stats row tells whether the rest of the outbox is already written and published. */
const FINISH_OUTBOX = [
  ...tableActions('stats', 'BatchGetItem'),
  ...['events', 'history', 'rejections', 'stats'].flatMap((table) => tableActions(table, 'BatchWriteItem')),
];
const WRITE_RECORDS = [...tableActions('progress', 'BatchGetItem', 'BatchWriteItem'), ...FINISH_OUTBOX];
const READ_DUE_INDEX = tableActions('queues/index/due', 'Query');

/** Production publishes events to the bus. */
const PUBLISH_EVENTS = actionsOn('bus', 'events:PutEvents');

/** The queues whose depth queue-api shows. */
const MONITORED = [
  'commands',
  'commands-dead-letters',
  'progress',
  'progress-dead-letters',
  'ticks',
  'ticks-dead-letters',
  'undelivered',
];

/** Logs, traces and the queue of undelivered events. */
function commonActions(name: FunctionName): string[] {
  return [
    ...actionsOn(`/aws/lambda/${name}`, 'logs:CreateLogStream', 'logs:PutLogEvents'),
    ...actionsOn('"*"', 'xray:PutTelemetryRecords', 'xray:PutTraceSegments'),
    ...actionsOn('undelivered', 'sqs:SendMessage', 'sqs:GetQueueAttributes', 'sqs:GetQueueUrl'),
  ];
}

const EXPECTED: Record<FunctionName, string[]> = {
  'process-tasks': [
    ...LOAD_AND_COMMIT,
    ...WRITE_RECORDS,
    ...['commands', 'progress', 'ticks'].flatMap((queue) => receiveFrom(queue)),
    ...PUBLISH_EVENTS,
  ],
  'advance-queues': [
    ...tableActions('queues', 'GetItem'),
    ...READ_DUE_INDEX,
    ...actionsOn('ticks', 'sqs:SendMessage'),
    // It publishes that thresholds are crossed.
    ...PUBLISH_EVENTS,
  ],
  'queue-api': [
    ...LOAD_AND_COMMIT,
    ...WRITE_RECORDS,
    // The list of all players.
    ...tableActions('queues', 'Scan'),
    ...tableActions('history', 'Query'),
    ...tableActions('rejections', 'Query'),
    ...tableActions('events', 'Query'),
    ...READ_DUE_INDEX,
    ...PUBLISH_EVENTS,
  ],
  'maintain-cache': [
    ...tableActions('queues', 'BatchGetItem', 'GetItem'),
    ...tableActions('progress', 'BatchGetItem'),
    // Loading a queue row finishes its outbox.
    ...FINISH_OUTBOX,
    ...READ_DUE_INDEX,
    ...PUBLISH_EVENTS,
  ],
};

/** The users of the cache. With a ticks queue, advance-queues does not use the cache. */
const USERS: Partial<Record<FunctionName, string>> = {
  'process-tasks': 'tasks',
  'queue-api': 'upkeep',
  'maintain-cache': 'upkeep',
};

function isCacheLogin(line: string): boolean {
  return line.startsWith('elasticache:Connect');
}

function withoutCacheLogin(lines: string[]): string[] {
  return lines.filter((line) => !isCacheLogin(line));
}

for (const name of FUNCTION_NAMES) {
  test(`${name} has exactly the permissions that it needs`, () => {
    const expected = [...EXPECTED[name], ...commonActions(name)].toSorted();
    assert.deepEqual(withoutCacheLogin(allowedActions(name)), expected);
  });

  test(`${name} may log in to the cache only as its user`, () => {
    const user = USERS[name];
    const kinds = { serverlesscache: production, replicationgroup: productionWithNodes };
    for (const [resourceType, template] of Object.entries(kinds)) {
      const logins = allowedActions(name, template).filter(isCacheLogin);
      const resources = logins.map((line) => /:(\w+:[\w-]+)"\]\]}$/.exec(line)?.[1]);
      const expected = user === undefined ? [] : [`${resourceType}:cache`, `user:${user}`];
      assert.deepEqual(resources.toSorted(), expected, logins.join('\n'));
    }
  });
}

test('queue-api may read the depth of queues unless the network has no endpoint of SQS', () => {
  const depths = MONITORED.map((queue) => `sqs:GetQueueAttributes on ${queue}`);
  const expected = [...EXPECTED['queue-api'], ...commonActions('queue-api'), ...depths].toSorted();
  const withEventsQueue = { ...stages.production, events: { ...stages.production.events, queue: true } };
  assert.deepEqual(allowedActions('queue-api', dev), expected);
  const inNetwork = allowedActions('queue-api', synthesize(withEventsQueue));
  assert.ok(depths.every((line) => inNetwork.includes(line)));
});

test('only functions in the network may have network interfaces, and their code may not', () => {
  const effects = (name: FunctionName) =>
    statementsOf(name, production)
      .filter(({ Action }) => toList(Action).some((action) => action.startsWith('ec2:')))
      .map(({ Effect }) => Effect)
      .toSorted();
  for (const name of FUNCTION_NAMES) {
    assert.deepEqual(effects(name), name === 'advance-queues' ? [] : ['Allow', 'Deny'], name);
  }
});

test('without a ticks queue advance-queues may process queues itself', () => {
  const expected = [
    ...LOAD_AND_COMMIT,
    ...WRITE_RECORDS,
    ...READ_DUE_INDEX,
    ...PUBLISH_EVENTS,
    ...commonActions('advance-queues'),
  ].toSorted();
  assert.deepEqual(allowedActions('advance-queues', devWithDirectTicks), expected);
});
