// The checks at the end: nothing is lost or left over, and the logs are as expected.

import assert from 'node:assert/strict';
import { PUBLISHED_METRICS } from '../../lib/metrics.ts';
import { FUNCTION_NAMES } from '../../lib/settings.ts';
import { redisOf } from '../environment.ts';
import { waitUntil } from '../processes.ts';
import { PREFIX } from '../stack.ts';
import type { Traffic } from '../traffic.ts';
import { checkRewardsOfIdlePlayer, PLAYERS_WITH_FAILURES } from './commands.ts';
import type { Deployed } from './deployment.ts';

/**
 * Failure reasons of a slow emulator, and of ticks that meet many commands of the same player. The
 * messages are redelivered.
 */
const PASSING_FAILURES = ['store_timed_out', 'store_unavailable', 'deadline', 'conflict'];

/** The commands of the players are processed. That of the broken player may still fail. */
export async function stopTraffic({ aws, outputs }: Deployed, traffic: Traffic): Promise<void> {
  await traffic.stop();
  const isProcessed = async () => (await aws.queueDepth(outputs.CommandsQueueUrl)) <= 1;
  await waitUntil('the commands of the players are processed', isProcessed, 120_000);
}

export async function waitForEmptyQueues({ aws, outputs }: Deployed): Promise<void> {
  const queues = [outputs.CommandsQueueUrl, outputs.ProgressQueueUrl, outputs.TicksQueueUrl];
  await waitUntil('the queues are empty', async () => {
    const depths = await Promise.all(queues.map((queue) => aws.queueDepth(queue)));
    return depths.every((depth) => depth === 0);
  });
}

/** Every command took effect exactly once, and no message failed for good. */
export async function checkRecords(deployed: Deployed, traffic: Traffic): Promise<void> {
  const { aws, outputs } = deployed;
  await traffic.verify();
  await checkRewardsOfIdlePlayer(deployed);
  const failureQueues = [
    'CommandsDeadLettersUrl',
    'ProgressDeadLettersUrl',
    'TicksDeadLettersUrl',
    'EventsDeadLettersUrl',
    'UndeliveredUrl',
  ] as const;
  for (const name of failureQueues) {
    assert.equal(await aws.queueDepth(outputs[name]), 0, name);
  }
}

/** No function lacks a permission, copies are in Redis, and the functions write their metrics. */
export async function checkCacheAndLogs(deployed: Deployed): Promise<void> {
  await checkSharedCache(deployed);
  await checkPermissionErrors(deployed);
  await checkMetrics(deployed);
  await checkFailures(deployed);
}

/** Functions use the shared cache, and lack no permission there. */
export async function checkSharedCache(deployed: Deployed): Promise<void> {
  const redis = redisOf(deployed);
  assert.deepEqual(await redis.send('ACL', 'LOG'), [], 'every command of a function is allowed to its cache user');
  assert.ok(Number(await redis.send('DBSIZE')) > 0, 'Redis contains copies');
}

export async function checkPermissionErrors({ aws }: Deployed): Promise<void> {
  for (const name of FUNCTION_NAMES) {
    const lines = await aws.logLines(`${PREFIX}${name}`);
    const denied = lines.filter((line) => /access_denied|AccessDenied|NOPERM/.test(JSON.stringify(line)));
    assert.deepEqual(denied.slice(0, 3), [], `${name} lacks a permission`);
  }
}

/** The functions write every metric that CloudWatch keeps, with a number in the same line. */
async function checkMetrics({ aws }: Deployed): Promise<void> {
  const written = new Set<string>();
  for (const name of FUNCTION_NAMES) {
    const lines = (await aws.logLines(`${PREFIX}${name}`)).filter((line) => '_aws' in line);
    assert.ok(lines.length > 0, `${name} writes metrics`);
    for (const line of lines) {
      for (const { Metrics } of (line['_aws'] as { CloudWatchMetrics: { Metrics: { Name: string }[] }[] })
        .CloudWatchMetrics) {
        const names = Metrics.map(({ Name }) => Name);
        assert.deepEqual(
          names.filter((metric) => typeof line[metric] !== 'number'),
          [],
          `${name} writes a number for each metric`,
        );
        names.forEach((metric) => written.add(metric));
      }
    }
  }
  const missing = PUBLISHED_METRICS.filter(({ name }) => !written.has(name)).map(({ name }) => name);
  assert.deepEqual(missing, [], 'some function writes each metric');
}

async function checkFailures({ aws }: Deployed): Promise<void> {
  const lines = await aws.logLines(`${PREFIX}process-tasks`);
  const failures = lines.filter(
    ({ message, reason }) => message === 'failed' && !PASSING_FAILURES.includes(String(reason)),
  );
  const players = new Set(failures.map((line) => line['player_id']));
  assert.deepEqual([...players], PLAYERS_WITH_FAILURES, 'players whose commands failed');
}
