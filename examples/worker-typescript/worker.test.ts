// The loop of the worker, with queues in memory.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, handleBatch, type MillraceQueues, PermanentError, type Work } from './worker.ts';

const TIME_LEFT_MS = 5_000;

/** Keeps what a worker sends. A FIFO queue drops repetitions of a commandId. */
class FakeQueues implements MillraceQueues {
  readonly reports: Command[] = [];
  readonly finished = new Map<string, Command>();
  failure: Error | undefined;

  async report(command: Command): Promise<void> {
    this.throwFailure();
    this.reports.push(command);
  }

  async finish(command: Command & { commandId: string }): Promise<void> {
    this.throwFailure();
    if (!this.finished.has(command.commandId)) {
      this.finished.set(command.commandId, command);
    }
  }

  private throwFailure(): void {
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }
}

interface StartedOptions {
  sequence?: number;
  attempt?: number;
  /** From the start of the attempt to its deadline. */
  allowedMs?: number;
  /** How long ago the attempt started. */
  startedMsAgo?: number;
}

/** The event of a started task, as SQS delivers it from a rule of EventBridge. */
function started(options: StartedOptions = {}): { messageId: string; body: string } {
  const { sequence = 42, attempt = 1, allowedMs = 60_000, startedMsAgo = 0 } = options;
  const at = Date.now() - startedMsAgo;
  const detail = {
    eventId: `p-1/${sequence}`,
    playerId: 'p-1',
    sequence,
    version: 12,
    at: new Date(at).toISOString(),
    type: 'taskStarted',
    task: {
      taskId: 't-1',
      kind: 'harvest.wood',
      attempt,
      payload: { pieces: 2 },
      units: 100,
      deadline: new Date(at + allowedMs).toISOString(),
    },
  };
  const body = { 'version': '0', 'id': 'e-1', 'detail-type': 'taskStarted', 'source': 'millrace', detail };
  return { messageId: `message-${sequence}-${attempt}`, body: JSON.stringify(body) };
}

const harvest: Work = async () => ({ wood: 2 });

/** Keeps the log of the worker out of the output of the tests. */
mock.method(console, 'log', () => {});
mock.method(console, 'error', () => {});

test('a finished task is completed with its attempt and its result', async () => {
  const queues = new FakeQueues();
  const answer = await handleBatch({ Records: [started({ attempt: 2 })] }, queues, harvest, TIME_LEFT_MS);
  assert.deepEqual(answer, { batchItemFailures: [] });
  const task = { playerId: 'p-1', taskId: 't-1', attempt: 2 };
  const completion = { ...task, commandId: 'worker:42:complete', type: 'completeTask', result: { wood: 2 } };
  assert.deepEqual([...queues.finished.values()], [completion]);
  assert.deepEqual(queues.reports, [{ ...task, type: 'reportProgress', unitsDone: 0 }]);
});

test('the same event twice completes the task once', async () => {
  const queues = new FakeQueues();
  await handleBatch({ Records: [started(), started()] }, queues, harvest, TIME_LEFT_MS);
  await handleBatch({ Records: [started()] }, queues, harvest, TIME_LEFT_MS);
  assert.deepEqual([...queues.finished.keys()], ['worker:42:complete']);
});

test('the next attempt has another commandId', async () => {
  const queues = new FakeQueues();
  const failing: Work = async () => assert.fail('no trees left');
  await handleBatch({ Records: [started()] }, queues, failing, TIME_LEFT_MS);
  await handleBatch({ Records: [started({ sequence: 44, attempt: 2 })] }, queues, harvest, TIME_LEFT_MS);
  assert.deepEqual([...queues.finished.keys()], ['worker:42:fail', 'worker:44:complete']);
});

test('failing work fails the attempt, and only a permanent error fails the task', async () => {
  for (const [error, retry] of [
    [new Error('the saw broke'), true],
    [new PermanentError('there is no such forest'), false],
  ] as const) {
    const queues = new FakeQueues();
    const failing: Work = () => Promise.reject(error);
    const answer = await handleBatch({ Records: [started()] }, queues, failing, TIME_LEFT_MS);
    assert.deepEqual(answer, { batchItemFailures: [] }, 'the message is not delivered again');
    const { type, reason, retry: isRetried } = queues.finished.get('worker:42:fail') ?? assert.fail('nothing was sent');
    assert.deepEqual([type, reason, isRetried], ['failTask', error.message, retry]);
  }
});

test('slow work sends a heartbeat each third of the allowed time', async (context) => {
  context.mock.timers.enable({ apis: ['Date', 'setInterval', 'setTimeout'], now: Date.now() });
  const pass = async (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += 10) {
      context.mock.timers.tick(10);
      await new Promise(setImmediate);
    }
  };
  const queues = new FakeQueues();
  const slow: Work = async (_task, { reportDone }) => {
    for (const share of [0.25, 0.5, 0.75, 1]) {
      await new Promise((resolve) => setTimeout(resolve, 110));
      reportDone(share);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const ended = handleBatch({ Records: [started({ allowedMs: 240 })] }, queues, slow, TIME_LEFT_MS);
  await pass(490);
  await ended;
  // A report of all units would complete the task without a result.
  const units = queues.reports.map(({ unitsDone }) => unitsDone);
  assert.deepEqual(units, [0, 0, 25, 50, 50, 75, 99]);
  assert.equal(queues.finished.get('worker:42:complete')?.['result'], null);
  await pass(300);
  assert.equal(queues.reports.length, units.length, 'no heartbeat follows the completion');
});

test('an event that waited for long is answered with a heartbeat at once', async () => {
  const queues = new FakeQueues();
  const event = started({ allowedMs: 60_000, startedMsAgo: 59_000 });
  await handleBatch({ Records: [event] }, queues, harvest, TIME_LEFT_MS);
  assert.equal(queues.reports.length, 1);
});

test('an attempt that is over is not worked on', async () => {
  const queues = new FakeQueues();
  const event = started({ allowedMs: 1_000, startedMsAgo: 1_001 });
  const answer = await handleBatch({ Records: [event] }, queues, () => assert.fail('it works'), TIME_LEFT_MS);
  assert.deepEqual(answer, { batchItemFailures: [] });
  assert.deepEqual([queues.reports.length, queues.finished.size], [0, 0]);
});

test('work that does not end before the deadline of the invocation fails the attempt', async () => {
  const queues = new FakeQueues();
  let aborted = false;
  const endless: Work = async (_task, { signal }) => {
    signal.addEventListener('abort', () => (aborted = true));
    await sleep(2_000, undefined, { ref: false });
  };
  // The time-out of an abort signal does not keep the process alive.
  const alive = setTimeout(() => {}, 1_000);
  await handleBatch({ Records: [started()] }, queues, endless, 50);
  clearTimeout(alive);
  assert.ok(aborted);
  const { reason, retry } = queues.finished.get('worker:42:fail') ?? assert.fail('nothing was sent');
  assert.deepEqual([reason, retry], ['the invocation ran out of time', true]);
});

test('what is no event of a started task is handed back, and the rest of the batch is handled', async () => {
  const queues = new FakeQueues();
  const other = { ...JSON.parse(started().body), 'detail-type': 'taskQueued' };
  const poison = ['no JSON', '{}', 'null', JSON.stringify(other)].map((body, index) => ({
    messageId: `${index}`,
    body,
  }));
  const answer = await handleBatch({ Records: [...poison, started()] }, queues, harvest, TIME_LEFT_MS);
  assert.deepEqual(
    answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier),
    ['0', '1', '2', '3'],
  );
  assert.deepEqual([...queues.finished.keys()], ['worker:42:complete']);
});

test('a message whose completion could not be sent is handed back', async () => {
  const queues = new FakeQueues();
  queues.failure = new Error('SQS does not answer');
  const answer = await handleBatch({ Records: [started()] }, queues, harvest, TIME_LEFT_MS);
  assert.deepEqual(answer, { batchItemFailures: [{ itemIdentifier: 'message-42-1' }] });
});

test('a result above 4 KiB fails the task', async () => {
  const queues = new FakeQueues();
  await handleBatch({ Records: [started()] }, queues, async () => 'x'.repeat(4_095), TIME_LEFT_MS);
  const { reason, retry } = queues.finished.get('worker:42:fail') ?? assert.fail('nothing was sent');
  assert.deepEqual([reason, retry], ['the result is too large', false]);
});
