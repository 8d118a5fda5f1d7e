// The example workers: they are deployed with the outputs of the stack, and do the work of tasks.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { WorkersStack } from '../../../examples/infra/workers-stack.ts';
import { findBinary, layOutFunctions, type LayoutTools } from '../binaries.ts';
import { waitUntil } from '../processes.ts';
import { ROOT } from '../requirements.ts';
import { STACK_NAME, TABLES } from '../stack.ts';
import type { Deployed } from './deployment.ts';

const WORKERS_STACK = `${STACK_NAME}-workers`;
const PLAYER_COUNT = 8;
const TASKS_OF_A_PLAYER = 5;

/** The payload and the result of a task by its kind. */
const KINDS: Record<string, { payload: object; result: object }> = {
  'harvest.wood': { payload: { trees: 2, msPerTree: 20 }, result: { wood: 2 } },
  'forge.iron': { payload: { bars: 3, msPerBar: 20 }, result: { iron: 3 } },
};

/** Deploys the workers. The binary of worker-rust is beside those of the functions. */
export async function deployWorkers({ cdk, directory, outputs }: Deployed, tools: LayoutTools): Promise<void> {
  const binDirectory = process.env['MILLRACE_BIN_DIR'] ?? join(ROOT, 'target/debug');
  const binary = findBinary(binDirectory, 'worker-rust') ?? assert.fail(`${binDirectory} has no worker-rust`);
  const codeDirectory = join(directory, 'workers');
  await layOutFunctions([binary], codeDirectory, tools);
  const assembly = join(directory, 'workers-assembly');
  const app = new App({ outdir: assembly, analyticsReporting: false });
  new WorkersStack(app, WORKERS_STACK, { outputs, codeDirectory });
  app.synth();
  await cdk.forStack(WORKERS_STACK).deploy(assembly);
}

/** Each task is completed once by the worker of its kind, and its result is in the history. */
export async function completeTasks({ aws, outputs }: Deployed): Promise<void> {
  const players = Array.from({ length: PLAYER_COUNT }, (_, index) => `worked-for-${index}`);
  const kinds = Array.from({ length: TASKS_OF_A_PLAYER }, (_, index) => kindOf(index));
  for (const player of players) {
    const tasks = kinds.map(([kind, { payload }], index) => ({
      taskId: `t-${index}`,
      kind,
      payload,
      work: { units: 10, heartbeatMs: 20_000, timeoutMs: 60_000 },
      rewards: { gold: 1 },
    }));
    const command = { type: 'enqueueTasks', playerId: player, commandId: 'enqueue', tasks };
    await aws.sendMessage(outputs.CommandsQueueUrl, command, player);
  }
  for (const player of players) {
    const isFinished = async () => (await aws.rowsOf(TABLES.history, player)).length === TASKS_OF_A_PLAYER;
    await waitUntil(`the tasks of ${player} are finished`, isFinished, 90_000);
    const history = await aws.rowsOf(TABLES.history, player);
    assert.deepEqual(
      history.map(({ taskId, outcome, result }) => [taskId, outcome, result]),
      kinds.map(([, { result }], index) => [`t-${index}`, 'completed', result]),
      player,
    );
    assert.deepEqual((await aws.totalsOf(TABLES.stats, player))['rewards'], { gold: TASKS_OF_A_PLAYER });
  }
}

function kindOf(index: number): [string, { payload: object; result: object }] {
  const kinds = Object.entries(KINDS);
  return kinds[index % kinds.length] ?? assert.fail('there are kinds');
}

export async function destroyWorkers({ cdk, directory }: Deployed): Promise<void> {
  await cdk.forStack(WORKERS_STACK).destroy(join(directory, 'workers-assembly'));
}
