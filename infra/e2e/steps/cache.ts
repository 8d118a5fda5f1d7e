// Upkeep of the shared cache, and a failure of Redis.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Aws, Row } from '../aws.ts';
import { redisOf } from '../environment.ts';
import { PREFIX, TABLES } from '../stack.ts';
import type { Traffic } from '../traffic.ts';
import { REPORTING_PLAYER } from './commands.ts';
import type { Deployed } from './deployment.ts';

const REDIS_OUTAGE_MS = 4_000;

/** The actions of maintain-cache succeed. */
export async function runUpkeep({ aws }: Deployed): Promise<void> {
  const functionName = `${PREFIX}maintain-cache`;
  for (const action of ['upkeep', 'statistics', 'warm', 'clear']) {
    const { failed, answer } = await aws.invoke(functionName, { action });
    assert.equal(failed, false, `${action}: ${JSON.stringify(answer)}`);
  }
  // The last commit of this player finished a task. Without its stats row, it is unknown whether
  // records and events of the commit were written and published. Loading the row does it again.
  for (const action of ['warm', 'rebuild']) {
    await aws.deleteRow(TABLES.stats, REPORTING_PLAYER);
    assert.deepEqual(await load(aws, action), { historyRows: 1, hasPublished: true }, action);
  }
  assert.deepEqual(await load(aws, 'rebuild'), { historyRows: 0, hasPublished: false }, 'nothing is left to do');
}

/** What `maintain-cache` has written and published while it loaded the row of the player. */
async function load(aws: Aws, action: string): Promise<{ historyRows: number; hasPublished: boolean }> {
  const { answer } = await aws.invoke(`${PREFIX}maintain-cache`, { action, playerIds: [REPORTING_PLAYER] });
  const result = answer[action] as Row | undefined;
  assert.deepEqual([result?.['players'], result?.['failed']], [1, 0], `${action}: ${JSON.stringify(answer)}`);
  const { writes, events } = answer['report'] as {
    writes: { byTable: { history?: { items: number } } };
    events: { published: number };
  };
  return { historyRows: writes.byTable.history?.items ?? 0, hasPublished: events.published > 0 };
}

/** Players continue while Redis is down. */
export async function killAndRestartRedis(deployed: Deployed, traffic: Traffic): Promise<void> {
  const redis = redisOf(deployed);
  const sentBefore = traffic.sent;
  await redis.kill();
  await sleep(REDIS_OUTAGE_MS);
  assert.ok(traffic.sent > sentBefore, 'players sent commands without Redis');
  await redis.restart();
}
