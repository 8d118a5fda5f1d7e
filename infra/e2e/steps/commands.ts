// Commands and progress reports through the queues and the event bus.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../processes.ts';
import { PREFIX, TABLES } from '../stack.ts';
import type { Deployed } from './deployment.ts';

/** Has a timed task and receives no further command: only the schedule can finish the task. */
const IDLE_PLAYER = 'idle-player';
/** Has a queue row that cannot be read: its command fails until the row is deleted. */
export const BROKEN_PLAYER = 'broken-player';
const BUS_PLAYER = 'bus-player';
/** Has a reported task. */
export const REPORTING_PLAYER = 'reporting-player';

/** The players of whom `failed` lines are expected in the logs. */
export const PLAYERS_WITH_FAILURES = [BROKEN_PLAYER];

/** A command that queues one task. */
export function enqueueTask(playerId: string, taskId: string, work: object, rewards: object = {}): object {
  const task = { taskId, kind: 'some.work', work, rewards };
  return { type: 'enqueueTasks', playerId, commandId: `enqueue-${taskId}`, tasks: [task] };
}

/** A user without permissions can neither send messages nor read tables. */
export async function checkPermissions({ aws, outputs }: Deployed): Promise<void> {
  const user = await aws.withoutPermissions();
  await assert.rejects(user.sendMessage(outputs.ProgressQueueUrl, 'x'), /AccessDenied|not authorized/);
  await assert.rejects(user.allRows(TABLES.queues), /AccessDenied|not authorized/);
  user.close();
}

export async function sendCommandOfIdlePlayer({ aws, outputs }: Deployed): Promise<void> {
  const command = enqueueTask(IDLE_PLAYER, 'timed', { durationMs: 1500 }, { gold: 1 });
  await aws.sendMessage(outputs.CommandsQueueUrl, command, IDLE_PLAYER);
}

/** The schedule finishes the task of the idle player. */
export async function waitForIdlePlayer({ aws }: Deployed): Promise<void> {
  const isFinished = async () => (await aws.rowsOf(TABLES.history, IDLE_PLAYER)).length === 1;
  await waitUntil('the task of the idle player is finished', isFinished, 90_000);
}

export async function checkRewardsOfIdlePlayer({ aws }: Deployed): Promise<void> {
  assert.deepEqual((await aws.totalsOf(TABLES.stats, IDLE_PLAYER))['rewards'], { gold: 1 });
}

export async function sendCommandOfBrokenPlayer({ aws, outputs }: Deployed): Promise<void> {
  await aws.putRow(TABLES.queues, { playerId: BROKEN_PLAYER, version: 7, queue: Buffer.from('garbage') });
  const command = enqueueTask(BROKEN_PLAYER, 't-1', { units: 1 });
  await aws.sendMessage(outputs.CommandsQueueUrl, command, BROKEN_PLAYER);
}

/** Malformed input is stored in the rejections table. */
export async function sendMalformedInput({ aws, outputs }: Deployed): Promise<void> {
  await aws.sendMessage(outputs.CommandsQueueUrl, 'this is no JSON', 'any-player');
  const badReport = { type: 'reportProgress', playerId: 'bad id', taskId: 't-1', unitsDone: 1 };
  await aws.sendMessage(outputs.ProgressQueueUrl, badReport);
  await waitUntil('both are in the rejections table', async () => {
    const rejections = await aws.allRows(TABLES.rejections);
    return rejections.filter(({ playerId }) => String(playerId).startsWith('unknown#')).length === 2;
  });
}

/** A reported task completes when all units are reported, and rewards the player. */
export async function reportProgress({ aws, outputs }: Deployed): Promise<void> {
  const { CommandsQueueUrl, ProgressQueueUrl } = outputs;
  const player = REPORTING_PLAYER;
  const report = (unitsDone: number) =>
    aws.sendMessage(
      ProgressQueueUrl,
      { type: 'reportProgress', playerId: player, taskId: 'reported', unitsDone },
      player,
    );
  const command = enqueueTask(player, 'reported', { units: 100 }, { stone: 3 });
  await aws.sendMessage(CommandsQueueUrl, command, player);
  await waitUntil('the task is queued', async () => (await aws.rowsOf(TABLES.queues, player)).length === 1);
  for (const unitsDone of [10, 30, 20, 60, 99]) {
    await report(unitsDone);
  }
  await waitUntil('the reports are processed', async () => (await aws.queueDepth(ProgressQueueUrl)) === 0);
  assert.deepEqual(await aws.rowsOf(TABLES.history, player), [], 'the task is not completed with 99 of 100 units');
  await report(100);
  await waitUntil('the task is completed', async () => (await aws.rowsOf(TABLES.history, player)).length === 1);
  // The stats row is written after the history row. Earlier commits have written it too.
  const completed = async () => (await aws.totalsOf(TABLES.stats, player))['completed'] === 1;
  await waitUntil('the stats have the task', completed);
  assert.deepEqual((await aws.totalsOf(TABLES.stats, player))['rewards'], { stone: 3 });
}

/** The bus delivers events with the detail type of commands, and no others. */
export async function sendEventsToBus({ aws, outputs }: Deployed): Promise<void> {
  const { BusName } = outputs;
  const player = BUS_PLAYER;
  await aws.putEvent(BusName, 'TaskQueueCommand', enqueueTask(player, 'first', { durationMs: 1 }));
  await aws.putEvent(BusName, 'SomethingElse', enqueueTask(player, 'ignored', { durationMs: 1 }));
  await waitUntil('the player has a queue', async () => (await aws.rowsOf(TABLES.queues, player)).length === 1);
  await sleep(5);
  await aws.putEvent(BusName, 'TaskQueueCommand', { type: 'resumeQueue', playerId: player });
  await waitUntil('the task is finished', async () => {
    await aws.invoke(`${PREFIX}process-tasks`, { type: 'advanceQueues', playerIds: [player] });
    return (await aws.rowsOf(TABLES.history, player)).length === 1;
  });
}
