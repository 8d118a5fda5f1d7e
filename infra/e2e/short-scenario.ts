// The steps of the end-to-end test for a stack that differs from the one of scenario.ts in its
// cache only: every function works, with the cache or without one.

import assert from 'node:assert/strict';
import type { Environment } from './environment.ts';
import { waitUntil } from './processes.ts';
import { PREFIX, TABLES } from './stack.ts';
import { enqueueTask, reportProgress } from './steps/commands.ts';
import { type Deployed, deployStack, destroyStack } from './steps/deployment.ts';
import { useHttpApi } from './steps/http.ts';
import { checkPermissionErrors, checkSharedCache, waitForEmptyQueues } from './steps/verification.ts';
import { step } from './step.ts';

const TIMED_PLAYER = 'timed-player';

export async function runShortScenario(environment: Environment): Promise<void> {
  const deployed = await deployStack(environment);
  await step('progress reports complete a task', () => reportProgress(deployed));
  await step('a run of advance-queues completes a task', () => advanceQueues(deployed));
  await step('the HTTP API serves players and servers', () => useHttpApi(deployed));
  await step('upkeep succeeds', () => runUpkeep(deployed));
  await step('the queues become empty', () => waitForEmptyQueues(deployed));
  if (deployed.redis !== undefined) {
    await step('functions used the cache', () => checkSharedCache(deployed));
  }
  await step('no function lacks a permission', () => checkPermissionErrors(deployed));
  await step('the stack is destroyed', () => destroyStack(deployed));
}

/** The task receives no further command. A tick of advance-queues finishes it. */
async function advanceQueues({ aws, outputs }: Deployed): Promise<void> {
  const command = enqueueTask(TIMED_PLAYER, 'timed', { durationMs: 500 });
  await aws.sendMessage(outputs.CommandsQueueUrl, command, TIMED_PLAYER);
  await waitUntil('the task is queued', async () => (await aws.rowsOf(TABLES.queues, TIMED_PLAYER)).length === 1);
  const { failed, answer } = await aws.invoke(`${PREFIX}advance-queues`, {});
  assert.equal(failed, false, JSON.stringify(answer));
  await waitUntil('the task is completed', async () => (await aws.rowsOf(TABLES.history, TIMED_PLAYER)).length === 1);
}

async function runUpkeep({ aws }: Deployed): Promise<void> {
  const { failed, answer } = await aws.invoke(`${PREFIX}maintain-cache`, { action: 'upkeep' });
  assert.equal(failed, false, JSON.stringify(answer));
}
