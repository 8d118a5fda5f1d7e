// The SQS queues.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idOf } from '../lib/construct-ids.ts';
import { stages } from '../lib/settings.ts';
import { type IamStatement, production, propertiesOfType, queueNamed } from './support.ts';

const FOURTEEN_DAYS = 14 * 86_400;
const HOUR = 3_600;

for (const name of ['commands', 'progress', 'ticks'] as const) {
  test(`the ${name} queue has a dead-letter queue`, () => {
    const { deadLetterTargetArn, maxReceiveCount } = queueNamed(production, name).RedrivePolicy;
    const deadLetters = deadLetterTargetArn['Fn::GetAtt'][0];
    assert.ok(deadLetters.startsWith(`MillraceQueues${idOf(name)}DeadLetters`), deadLetters);
    assert.equal(maxReceiveCount, stages.production.queues[name].maxReceiveCount);
  });

  test(`the ${name} queue and its dead-letter queue are encrypted and have a retention`, () => {
    const queue = queueNamed(production, name);
    const deadLetters = queueNamed(production, `${name}-dead-letters`);
    assert.equal(queue.SqsManagedSseEnabled, true);
    assert.equal(deadLetters.SqsManagedSseEnabled, true);
    assert.equal(queue.MessageRetentionPeriod, name === 'ticks' ? HOUR : FOURTEEN_DAYS);
    assert.equal(deadLetters.MessageRetentionPeriod, FOURTEEN_DAYS);
  });

  test(`the visibility time-out of the ${name} queue is six times the time-out of the function`, () => {
    const { timeoutSeconds } = stages.production.functions['process-tasks'];
    assert.equal(queueNamed(production, name).VisibilityTimeout, 6 * timeoutSeconds);
  });
}

test('AWS names the queues, so that a kept queue does not block a new one', () => {
  for (const { QueueName } of propertiesOfType(production, 'AWS::SQS::Queue')) {
    assert.equal(QueueName, undefined);
  }
});

test('every queue requires TLS', () => {
  const policies = propertiesOfType(production, 'AWS::SQS::QueuePolicy');
  assert.equal(policies.length, 7);
  for (const { PolicyDocument } of policies) {
    const denied = PolicyDocument.Statement.filter(({ Effect }: IamStatement) => Effect === 'Deny');
    assert.deepEqual(denied[0].Condition, { Bool: { 'aws:SecureTransport': 'false' } });
  }
});

test('the commands queue keeps the order of each player and does not deduplicate by content', () => {
  const { FifoQueue, FifoThroughputLimit, DeduplicationScope, ContentBasedDeduplication } = queueNamed(
    production,
    'commands',
  );
  assert.deepEqual(
    [FifoQueue, FifoThroughputLimit, DeduplicationScope, ContentBasedDeduplication],
    [true, 'perMessageGroupId', 'messageGroup', false],
  );
});
