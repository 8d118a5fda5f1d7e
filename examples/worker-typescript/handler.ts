// The Lambda function: receives the events of started tasks from SQS queues, and sends commands to
// the queues of Millrace.

import { setTimeout as sleep } from 'node:timers/promises';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { handleBatch, type MillraceQueues, PermanentError, type SqsEvent, type Work } from './worker.ts';

/** Time to fail a task before the time-out of the invocation. */
const MARGIN_MS = 2_000;

const sqs = new SQSClient({});

const queues: MillraceQueues = {
  report: (command) =>
    sqs.send(
      new SendMessageCommand({
        QueueUrl: process.env['PROGRESS_QUEUE_URL'],
        MessageBody: JSON.stringify(command),
        // The queue has no order. The group keeps a busy player from delaying the others.
        MessageGroupId: command.playerId,
      }),
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

/** Makes one piece after another of what the kind of the task names. Put your own work here. */
const makePieces: Work = async ({ kind, payload }, { reportDone, signal }) => {
  const { pieces, msPerPiece = 100 } = (payload ?? {}) as { pieces?: number; msPerPiece?: number };
  if (pieces === undefined || !Number.isInteger(pieces) || pieces < 1) {
    throw new PermanentError('payload.pieces has to be a whole number from 1');
  }
  for (let made = 1; made <= pieces; made += 1) {
    await sleep(msPerPiece, undefined, { signal });
    reportDone(made / pieces);
  }
  return { [kind.slice(kind.lastIndexOf('.') + 1)]: pieces };
};

export function handler(event: SqsEvent, context: { getRemainingTimeInMillis(): number }) {
  const timeLeftMs = Math.max(0, context.getRemainingTimeInMillis() - MARGIN_MS);
  return handleBatch(event, queues, makePieces, timeLeftMs);
}
