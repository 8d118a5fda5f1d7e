// Where events are published: the environment and the permissions of the functions, the queue of
// events, and that no event comes back as a command.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { RUNBOOK } from '../lib/alarms/definition.ts';
import { idOf } from '../lib/construct-ids.ts';
import { EVENT_TYPES, FUNCTION_NAMES, type FunctionName, NODE_CACHE, type Settings, stages } from '../lib/settings.ts';
import {
  devWithDirectTicks,
  findProperties,
  type IamStatement,
  production,
  propertiesOfType,
  queueNamed,
  resourcesOfType,
  synthesize,
} from './support.ts';

/** With nodes, so that there are endpoints. */
function devWithEvents(events: Partial<Settings['events']>): Template {
  return synthesize({
    ...stages.dev,
    cache: NODE_CACHE,
    ticks: 'direct',
    monitoring: 'full',
    events: { ...stages.dev.events, ...events },
  });
}

const everywhere = devWithEvents({ bus: true, queue: true, types: ['taskStarted', 'taskCompleted'] });
const nowhere = devWithEvents({ bus: false, table: false });

function variablesOf(template: Template, name: FunctionName): Record<string, unknown> {
  const stage = template === production ? 'production' : 'dev';
  const fn = findProperties(template, 'AWS::Lambda::Function', 'FunctionName', `millrace-${stage}-${name}`);
  return fn.Environment.Variables;
}

/** The destinations of `MILLRACE_EVENTS`, with references as JSON. */
function destinationsOf(template: Template, name: FunctionName): string[] {
  const value = variablesOf(template, name)['MILLRACE_EVENTS'] as string | { 'Fn::Join': [string, unknown[]] };
  if (typeof value === 'string') {
    return value.split(',');
  }
  const parts = value['Fn::Join'][1].map((part) => (typeof part === 'string' ? part : referenceOf(part)));
  return parts.join('').split(',');
}

function referenceOf(part: unknown): string {
  return `<${/"Millrace(\w*(?:Bus|Events))\w*"/.exec(JSON.stringify(part))?.[1] ?? JSON.stringify(part)}>`;
}

test('all functions publish to the bus and to the events table', () => {
  for (const name of FUNCTION_NAMES) {
    const variables = variablesOf(production, name);
    assert.deepEqual(destinationsOf(production, name), ['eventbridge:<QueuesBus>', 'table'], name);
    assert.equal(variables['MILLRACE_EVENTS_RETENTION_HOURS'], '24');
    assert.equal('MILLRACE_EVENTS_TYPES' in variables, false);
  }
});

test('without a ticks queue advance-queues publishes too', () => {
  for (const name of FUNCTION_NAMES) {
    assert.deepEqual(destinationsOf(devWithDirectTicks, name), ['eventbridge:<QueuesBus>', 'table'], name);
  }
});

test('a stage can publish to all destinations, and only some types', () => {
  for (const name of FUNCTION_NAMES) {
    const expected = ['eventbridge:<QueuesBus>', 'sqs:<QueuesEvents>', 'table'];
    assert.deepEqual(destinationsOf(everywhere, name), expected, name);
    assert.equal(variablesOf(everywhere, name)['MILLRACE_EVENTS_TYPES'], 'taskStarted,taskCompleted');
  }
});

test('a stage can publish nothing', () => {
  for (const name of FUNCTION_NAMES) {
    const names = Object.keys(variablesOf(nowhere, name));
    assert.deepEqual(
      names.filter((variable) => variable.startsWith('MILLRACE_EVENTS')),
      [],
    );
  }
});

/** The resources on which the roles of functions may do something, each as JSON. */
function resourcesOfAction(template: Template, action: string): string[] {
  const functionPolicies = propertiesOfType(template, 'AWS::IAM::Policy').filter(({ Roles }) =>
    JSON.stringify(Roles).includes('"MillraceFunctions'),
  );
  const statements = functionPolicies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement as IamStatement[]);
  return statements.filter(({ Action }) => Action === action).map(({ Resource }) => JSON.stringify(Resource));
}

test('functions may publish only to the destinations of the stage', () => {
  const buses = resourcesOfAction(everywhere, 'events:PutEvents');
  assert.equal(buses.length, FUNCTION_NAMES.length);
  assert.ok(
    buses.every((resource) => resource.includes('"MillraceQueuesBus')),
    buses.join(),
  );
  const queues = resourcesOfAction(everywhere, 'sqs:SendMessage');
  assert.equal(queues.length, FUNCTION_NAMES.length);
  assert.ok(
    queues.every((resource) => /^{"Fn::GetAtt":\["MillraceQueuesEvents(?!Dead)/.test(resource)),
    queues.join(),
  );
  assert.deepEqual(resourcesOfAction(nowhere, 'events:PutEvents'), []);
  assert.deepEqual(resourcesOfAction(nowhere, 'sqs:SendMessage'), []);
});

test('each destination outside of the tables has its endpoint', () => {
  const actions = (template: Template) =>
    propertiesOfType(template, 'AWS::EC2::VPCEndpoint').map(({ PolicyDocument }) => PolicyDocument.Statement[0].Action);
  assert.deepEqual(actions(everywhere).toSorted(), ['dynamodb:*', 'events:PutEvents', 'sqs:SendMessage']);
  assert.deepEqual(actions(nowhere), ['dynamodb:*']);
});

test('the events queue is a FIFO queue with a dead-letter queue and an output', () => {
  const queue = queueNamed(everywhere, 'events');
  assert.deepEqual(
    [queue.FifoQueue, queue.ContentBasedDeduplication, queue.DeduplicationScope, queue.FifoThroughputLimit],
    [true, false, 'messageGroup', 'perMessageGroupId'],
  );
  assert.deepEqual([queue.VisibilityTimeout, queue.RedrivePolicy.maxReceiveCount], [180, 5]);
  assert.match(JSON.stringify(queue.RedrivePolicy.deadLetterTargetArn), /QueuesEventsDeadLetters/);
  const outputs = everywhere.toJSON()['Outputs'] as object;
  assert.ok('EventsQueueUrl' in outputs && 'EventsDeadLettersUrl' in outputs && 'BusArn' in outputs);
  assert.equal('EventsQueueUrl' in (production.toJSON()['Outputs'] as object), false);
});

test('waiting and failed events have alarms that do not page for players', () => {
  const alarms = propertiesOfType(everywhere, 'AWS::CloudWatch::Alarm');
  const [composite] = propertiesOfType(everywhere, 'AWS::CloudWatch::CompositeAlarm');
  const runbook = readFileSync(join(import.meta.dirname, '../..', RUNBOOK), 'utf8');
  assert.match(runbook, /^## Events queue$/m);
  for (const name of ['events-age', 'events-dead-letters']) {
    const alarm = alarms.find(({ AlarmName }) => AlarmName === `millrace-dev-${name}`);
    assert.match(alarm.AlarmDescription, /#events-queue$/);
    assert.equal(JSON.stringify(composite.AlarmRule).includes(`Alarms${idOf(name)}`), false, name);
  }
});

/** An event of EventBridge or a part of it. */
type EventFields = Record<string, unknown>;

/** Whether EventBridge finds that an event matches a pattern that consists of lists of texts. */
function matches(pattern: EventFields, event: EventFields): boolean {
  return Object.entries(pattern).every(([field, allowed]) => {
    if (Array.isArray(allowed)) {
      assert.ok(
        allowed.every((value) => typeof value === 'string'),
        'this test knows lists of texts only',
      );
      return (allowed as unknown[]).includes(event[field]);
    }
    return matches(allowed as EventFields, (event[field] ?? {}) as EventFields);
  });
}

test('no event comes back as a command', () => {
  const rules = resourcesOfType(everywhere, 'AWS::Events::Rule');
  assert.equal(rules.length, 1, 'a rule that is added has to be checked here');
  const pattern = rules[0]?.Properties.EventPattern as EventFields;
  const detail = { eventId: 'p-1/42', playerId: 'p-1', sequence: 42, version: 12 };
  for (const type of EVENT_TYPES) {
    const event = { 'source': 'millrace', 'detail-type': type, 'detail': { ...detail, type } };
    assert.equal(matches(pattern, event), false, type);
  }
  const command = { 'source': 'game.server', 'detail-type': 'TaskQueueCommand', 'detail': { type: 'pauseQueue' } };
  assert.equal(matches(pattern, command), true, 'the pattern matches commands');
});
