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
import { bringBackDeadLetter, listMalformedInput, sendUndeliveredEventAgain } from './steps/runbook.ts';
import { checkCacheAndLogs, checkRecords, stopTraffic } from './steps/verification.ts';
import { step } from './step.ts';
import { Traffic } from './traffic.ts';

const TRAFFIC_PLAYERS = 8;

export async function runScenario(environment: Environment): Promise<void> {
  const deployed = await deployStack(environment);
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
  await step('the runbook brings back a dead letter', () => bringBackDeadLetter(deployed));
  await step('the schedule advances an idle queue', () => waitForIdlePlayer(deployed));
  await step('traffic stops and the queues become empty', () => stopTraffic(deployed, traffic));
  const amount = `${traffic.sent} commands of ${traffic.playerCount} players`;
  await step(`${amount} took effect exactly once`, () => checkRecords(deployed, traffic));
  await step('cache, logs and permissions are as expected', () => checkCacheAndLogs(deployed));
  await step('the stack is destroyed', () => destroyStack(deployed));
}
