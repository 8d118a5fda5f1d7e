// The Lambda function: receives the events of one kind of task from its SQS queue, and sends
// commands to the queues of Millrace.

import { setTimeout as sleep } from 'node:timers/promises';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { handleBatch, type MillraceQueues, PermanentError, type SqsEvent, type Work } from './worker.ts';

/** Time to fail a task before the time-out of the invocation. */
const MARGIN_MS = 2_000;

const sqs = new SQSClient({});

const queues: MillraceQueues = {
  report: (command) =>
    sqs.send(
      new SendMessageCommand({ QueueUrl: process.env['PROGRESS_QUEUE_URL'], MessageBody: JSON.stringify(command) }),
    ),
  finish: (command) =>
    sqs.send(
      new SendMessageCommand({
        QueueUrl: process.env['COMMANDS_QUEUE_URL'],
        MessageBody: JSON.stringify(command),
        MessageGroupId: command.playerId,
        MessageDeduplicationId: command.commandId,
      }),
    ),
};

/** Fells one tree after another. Put your own work here. */
const harvestWood: Work = async ({ payload }, { reportDone, signal }) => {
  const { trees, msPerTree = 100 } = (payload ?? {}) as { trees?: number; msPerTree?: number };
  if (trees === undefined || !Number.isInteger(trees) || trees < 1) {
    throw new PermanentError('payload.trees has to be a whole number from 1');
  }
  for (let felled = 1; felled <= trees; felled += 1) {
    await sleep(msPerTree, undefined, { signal });
    reportDone(felled / trees);
  }
  return { wood: trees };
};

export function handler(event: SqsEvent, context: { getRemainingTimeInMillis(): number }) {
  const timeLeftMs = Math.max(0, context.getRemainingTimeInMillis() - MARGIN_MS);
  return handleBatch(event, queues, harvestWood, timeLeftMs);
}
