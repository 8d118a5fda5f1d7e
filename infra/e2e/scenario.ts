// The steps of the end-to-end test in their order.

import type { Environment } from './environment.ts';
import { killAndRestartRedis, runUpkeep } from './steps/cache.ts';
import {
  checkPermissions,
  reportProgress,
  sendCommandOfBrokenPlayer,
  sendCommandOfIdlePlayer,
  sendEventsToBus,
  sendMalformedInput,
  waitForIdlePlayer,
} from './steps/commands.ts';
import { deployStack, destroyStack, updateStack } from './steps/deployment.ts';
import { useHttpApi } from './steps/http.ts';
import { destroyListener, startListeners, stopListeners } from './steps/listeners.ts';
import { bringBackDeadLetter, listMalformedInput, sendUndeliveredEventAgain } from './steps/runbook.ts';
import { checkCacheAndLogs, checkRecords, stopTraffic, waitForEmptyQueues } from './steps/verification.ts';
import { checkEvents, checkResults } from './steps/worker-checks.ts';
import { WORK_PLAYERS, WORK_TASKS } from './steps/worker-tasks.ts';
import { checkDeadLettersOfWorkers, deployWorkers, destroyWorkers, doTasks } from './steps/workers.ts';
import { step } from './step.ts';
import { Traffic } from './traffic.ts';

const TRAFFIC_PLAYERS = 8;

export async function runScenario(environment: Environment): Promise<void> {
  const deployed = await deployStack(environment);
  const listeners = await step('consumers of events started', () => startListeners(deployed));
  await step('example workers deployed', () => deployWorkers(deployed));
  const traffic = new Traffic(deployed.aws, deployed.outputs.CommandsQueueUrl, TRAFFIC_PLAYERS);
  // The results of these two are checked much later.
  await sendCommandOfIdlePlayer(deployed);
  await sendCommandOfBrokenPlayer(deployed);

  await step('a user without permissions is refused', () => checkPermissions(deployed));
  await step('malformed input is stored as rejections', () => sendMalformedInput(deployed));
  await step('the runbook finds malformed input', () => listMalformedInput(deployed));
  await step('progress reports complete a task', () => reportProgress(deployed));
  await step('the event bus delivers commands', () => sendEventsToBus(deployed));
  await step('the runbook sends an undelivered event again', () => sendUndeliveredEventAgain(deployed));
  await step('the HTTP API serves players and servers', () => useHttpApi(deployed));
  await step('upkeep of the cache succeeds', () => runUpkeep(deployed));
  await step('players continue while Redis is down', () => killAndRestartRedis(deployed, traffic));
  await step('the stack is updated in place', () => updateStack(deployed, traffic));
  await step('traffic stops', () => stopTraffic(deployed, traffic));
  const work = `${WORK_PLAYERS.length * WORK_TASKS.length} tasks of ${WORK_PLAYERS.length} players`;
  await step(`workers do ${work}`, () => doTasks(deployed, listeners));
  await step('the runbook brings back a dead letter', () => bringBackDeadLetter(deployed));
  await step('the schedule advances an idle queue', () => waitForIdlePlayer(deployed));
  await step('the queues become empty', () => waitForEmptyQueues(deployed));
  const amount = `${traffic.sent} commands of ${traffic.playerCount} players`;
  await step(`${amount} took effect exactly once`, () => checkRecords(deployed, traffic));
  await step('all events have arrived', () => stopListeners(listeners));
  await step(`${work} are completed once`, () => checkResults(deployed, listeners));
  await step('no message of a worker failed for good', () => checkDeadLettersOfWorkers(deployed));
  const deliveries = `${listeners.bus.count} deliveries of ${listeners.queue.count} events`;
  await step(`every queue is rebuilt from ${deliveries}`, () => checkEvents(deployed, listeners));
  await step('cache, logs and permissions are as expected', () => checkCacheAndLogs(deployed));
  await step('the workers and the consumer are destroyed', async () => {
    await destroyWorkers(deployed);
    await destroyListener(deployed);
  });
  await step('the stack is destroyed', () => destroyStack(deployed));
}
