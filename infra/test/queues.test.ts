// The SQS queues.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { findProperties, type IamStatement, production, propertiesOfType } from './support.ts';

const FOURTEEN_DAYS = 14 * 86_400;
const HOUR = 3_600;

function queueNamed(name: string): any {
  return findProperties(production, 'AWS::SQS::Queue', 'QueueName', `millrace-production-${name}`);
}

for (const name of ['commands', 'progress', 'ticks'] as const) {
  const suffix = name === 'commands' ? '.fifo' : '';

  test(`the ${name} queue has a dead-letter queue`, () => {
    const { deadLetterTargetArn, maxReceiveCount } = queueNamed(`${name}${suffix}`).RedrivePolicy;
    const deadLetters = deadLetterTargetArn['Fn::GetAtt'][0];
    assert.ok(deadLetters.startsWith(`Queues${name}deadletters`), deadLetters);
    assert.equal(maxReceiveCount, stages.production.queues[name].maxReceiveCount);
  });

  test(`the ${name} queue and its dead-letter queue are encrypted and have a retention`, () => {
    const queue = queueNamed(`${name}${suffix}`);
    const deadLetters = queueNamed(`${name}-dead-letters${suffix}`);
    assert.equal(queue.SqsManagedSseEnabled, true);
    assert.equal(deadLetters.SqsManagedSseEnabled, true);
    assert.equal(queue.MessageRetentionPeriod, name === 'ticks' ? HOUR : FOURTEEN_DAYS);
    assert.equal(deadLetters.MessageRetentionPeriod, FOURTEEN_DAYS);
  });

  test(`the visibility time-out of the ${name} queue is six times the time-out of the function`, () => {
    const { timeoutSeconds } = stages.production.functions['process-tasks'];
    assert.equal(queueNamed(`${name}${suffix}`).VisibilityTimeout, 6 * timeoutSeconds);
  });
}

test('every queue requires TLS', () => {
  const policies = propertiesOfType(production, 'AWS::SQS::QueuePolicy');
  assert.equal(policies.length, 7);
  for (const { PolicyDocument } of policies) {
    const denied = PolicyDocument.Statement.filter(({ Effect }: IamStatement) => Effect === 'Deny');
    assert.deepEqual(denied[0].Condition, { Bool: { 'aws:SecureTransport': 'false' } });
  }
});

test('the commands queue keeps the order of each player and does not deduplicate by content', () => {
  const { FifoQueue, FifoThroughputLimit, DeduplicationScope, ContentBasedDeduplication } = queueNamed('commands.fifo');
  assert.deepEqual(
    [FifoQueue, FifoThroughputLimit, DeduplicationScope, ContentBasedDeduplication],
    [true, 'perMessageGroupId', 'messageGroup', false],
  );
});
