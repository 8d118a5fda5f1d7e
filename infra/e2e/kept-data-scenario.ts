// A stage that keeps its data is destroyed and deployed again: tables and key are taken over, and
// players go on where they were (docs/deploying.md).

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Environment, Servers } from './environment.ts';
import { prepareStack } from './environment.ts';
import { waitUntil } from './processes.ts';
import { PREFIX, STACK_NAME, synthesize, TABLES } from './stack.ts';
import { enqueueTask } from './steps/commands.ts';
import { type Deployed, deployStack } from './steps/deployment.ts';
import { step } from './step.ts';

const PLAYER = 'kept-player';
/** The queue row and the records are in different tables. */
const KEPT_TABLES = ['events', 'history', 'progress', 'queues', 'rejections', 'stats'].map((name) => PREFIX + name);

export async function runKeptDataScenario(servers: Servers): Promise<void> {
  const environment = await prepareStack(servers, 'none');
  const first = await deployStack(keepingData(environment, 'first'));
  await step('a player has a task and a finished one', () => finishTask(first, 'before'));
  await step('the protected stack is destroyed', () => destroyProtected(first));
  await step('its tables are kept', async () => {
    assert.deepEqual((await servers.aws.tableNames()).toSorted(), KEPT_TABLES);
  });
  const keyArn = first.outputs.KeyArn;
  const second = await deployStack(keepingData(environment, 'second', keyArn), '--import-existing-resources');
  await step('the player goes on where it was', async () => {
    assert.equal(second.outputs.KeyArn, keyArn);
    await finishTask(second, 'after');
    const finished = (await servers.aws.rowsOf(TABLES.history, PLAYER)).map(({ taskId }) => taskId);
    assert.deepEqual(finished.toSorted(), ['after', 'before']);
  });
  await step('stack and tables are destroyed', async () => {
    await destroyProtected(second);
    for (const table of KEPT_TABLES) {
      await servers.aws.deleteProtectedTable(table);
    }
  });
}

function keepingData(environment: Environment, name: string, keyArn?: string): Environment {
  const settings = { ...environment.settings, keepData: true, ...(keyArn !== undefined && { keyArn }) };
  const { directory, codeDirectory } = environment;
  return { ...environment, settings, assembly: synthesize(join(directory, `kept-${name}`), codeDirectory, settings) };
}

/**
 * The command comes from the bus. The emulator gives the new commands queue the name of the old
 * one, and counts its messages from 1 again, which AWS does not.
 */
async function finishTask({ aws, outputs }: Deployed, task: string): Promise<void> {
  await aws.putEvent(outputs.BusName, 'TaskQueueCommand', enqueueTask(PLAYER, task, { durationMs: 200 }));
  await waitUntil(`the task ${task} is finished`, async () => {
    await aws.invoke(`${PREFIX}advance-queues`, {});
    return (await aws.rowsOf(TABLES.history, PLAYER)).some(({ taskId }) => taskId === task);
  });
}

async function destroyProtected({ aws, cdk, http, assembly }: Deployed): Promise<void> {
  await aws.unprotectStack(STACK_NAME);
  await cdk.destroy(assembly);
  assert.equal(await aws.stackOutputs(STACK_NAME), undefined);
  http.close();
}
