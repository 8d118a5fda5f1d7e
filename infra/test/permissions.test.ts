// The permissions of each function: exactly what it needs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { FUNCTION_NAMES, type FunctionName } from '../lib/settings.ts';
import { dev, findProperties, type IamStatement, production, propertiesOfType, referencedName } from './support.ts';

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
  const stage = template === production ? 'production' : 'dev';
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
  'commands.fifo',
  'commands-dead-letters.fifo',
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
    ...['commands.fifo', 'progress', 'ticks'].flatMap((queue) => receiveFrom(queue)),
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
    // The depth of queues.
    ...MONITORED.flatMap((queue) => actionsOn(queue, 'sqs:GetQueueAttributes')),
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
    const user = ['queue-api', 'maintain-cache'].includes(name) ? 'upkeep' : 'tasks';
    const logins = allowedActions(name).filter(isCacheLogin);
    const message = logins.join('\n');
    assert.equal(logins.length, 2, message);
    assert.ok(
      logins.some((line) => line.includes(`:user:${user}`)),
      message,
    );
    assert.ok(
      logins.some((line) => line.includes(':replicationgroup:cache')),
      message,
    );
  });
}

test('without a ticks queue advance-queues may process queues itself', () => {
  const expected = [
    ...LOAD_AND_COMMIT,
    ...WRITE_RECORDS,
    ...READ_DUE_INDEX,
    ...commonActions('advance-queues'),
  ].toSorted();
  assert.deepEqual(withoutCacheLogin(allowedActions('advance-queues', dev)), expected);
});
