// The example workers: they are deployed with the outputs of the stack, and do the work of tasks,
// although they are killed, stopped and invoked twice.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../processes.ts';
import { PREFIX, STACK_NAME } from '../stack.ts';
import type { Deployed } from './deployment.ts';
import type { Listeners } from './listeners.ts';
import { WorkerFaults } from './worker-faults.ts';
import { commandsOf, UNATTENDED_TASK, WORK_PLAYERS, WORK_TASKS } from './worker-tasks.ts';

/** As docs/workers.md names it. */
const APP = 'npx tsx ../examples/infra/app.ts';
const WORKERS_STACK = `${STACK_NAME}-workers`;
const ADVANCE_INTERVAL_MS = 3_000;

export async function deployWorkers(deployed: Deployed): Promise<void> {
  await deployed.cdk.forStack(WORKERS_STACK).deploy(APP, ...optionsOf(deployed));
}

/** No message of the workers failed for good. */
export async function checkDeadLettersOfWorkers({ aws }: Deployed): Promise<void> {
  const outputs = Object.entries((await aws.stackOutputs(WORKERS_STACK)) ?? {});
  const urls = outputs.filter(([name]) => name.endsWith('DeadLettersUrl'));
  assert.equal(urls.length, 3);
  for (const [name, url] of urls) {
    assert.equal(await aws.queueDepth(url), 0, name);
  }
}

export async function destroyWorkers(deployed: Deployed): Promise<void> {
  await deployed.cdk.forStack(WORKERS_STACK).destroy(APP, ...optionsOf(deployed));
}

function optionsOf({ outputsFile, codeDirectory, directory }: Deployed): string[] {
  const context = ['-c', `outputs=${outputsFile}`, '-c', `functions=${codeDirectory}`];
  return [...context, '--output', join(directory, 'workers')];
}

/**
 * The workers finish all tasks of all players. Meanwhile, `advance-queues` runs as often as the
 * short heartbeats of the test require. Its schedule of one minute suits heartbeats of minutes.
 */
export async function doTasks(deployed: Deployed, listeners: Listeners): Promise<void> {
  const end = new AbortController();
  await Promise.all([
    runWorkers(deployed, listeners).finally(() => end.abort()),
    advanceQueuesUntil(end.signal, deployed),
  ]);
}

async function advanceQueuesUntil(end: AbortSignal, { aws }: Deployed): Promise<void> {
  while (!end.aborted) {
    const { failed, answer } = await aws.invoke(`${PREFIX}advance-queues`, {});
    assert.equal(failed, false, JSON.stringify(answer));
    await sleep(ADVANCE_INTERVAL_MS);
  }
}

async function runWorkers(deployed: Deployed, listeners: Listeners): Promise<void> {
  const { aws, miniStack, outputs } = deployed;
  const { TypeScriptFunctionName = '', RustFunctionName = '' } = (await aws.stackOutputs(WORKERS_STACK)) ?? {};
  await Promise.all(
    WORK_PLAYERS.map(async (player) => {
      for (const command of commandsOf(player)) {
        await aws.sendMessage(outputs.CommandsQueueUrl, command, player);
      }
    }),
  );
  const faults = new WorkerFaults(miniStack, listeners.bus);
  const workers = [
    { functionName: TypeScriptFunctionName, kind: 'harvest.wood' },
    { functionName: RustFunctionName, kind: 'forge.iron' },
  ];
  await Promise.all([
    pauseForASecond(deployed, WORK_PLAYERS[0] as string),
    ...workers.map(async (worker) => {
      await faults.kill(worker);
      await faults.stall(worker);
    }),
  ]);
  for (const player of WORK_PLAYERS) {
    const isDone = async () => completedTasks(listeners, player).size === WORK_TASKS.length;
    await waitUntil(`the tasks of ${player} are done`, isDone, 180_000);
  }
  await sendLateCommands(deployed, listeners);
}

async function pauseForASecond({ aws, outputs }: Deployed, playerId: string): Promise<void> {
  await sleep(3_000);
  await aws.sendMessage(outputs.CommandsQueueUrl, { type: 'pauseQueue', playerId }, playerId);
  await sleep(1_000);
  await aws.sendMessage(outputs.CommandsQueueUrl, { type: 'resumeQueue', playerId }, playerId);
}

/** The ids of the tasks that workers have completed. */
function completedTasks({ bus }: Listeners, player: string): Set<string> {
  const ids = bus.eventsOf(player).flatMap(({ type, task }) => (type === 'taskCompleted' ? [task?.taskId] : []));
  return new Set(WORK_TASKS.map(({ taskId }) => taskId).filter((id) => ids.includes(id)));
}

/** A milestone of the task without a worker, and a second completion with another result. */
async function sendLateCommands({ aws, outputs }: Deployed, { bus }: Listeners): Promise<void> {
  for (const playerId of WORK_PLAYERS) {
    const report = { type: 'reportProgress', playerId, taskId: UNATTENDED_TASK, unitsDone: 2 };
    await aws.sendMessage(outputs.ProgressQueueUrl, report);
    const start = bus.eventsOf(playerId).findLast(({ type, task }) => type === 'taskStarted' && task?.taskId === 't-0');
    const { sequence, task } = start ?? assert.fail(`${playerId} has started t-0`);
    // The queue does not take it for a duplicate: it has another deduplication id.
    const completion = {
      type: 'completeTask',
      playerId,
      taskId: 't-0',
      attempt: task?.attempt,
      commandId: `worker:${sequence}:complete`,
      result: 'another result',
    };
    await aws.sendMessage(outputs.CommandsQueueUrl, completion, playerId);
  }
}
