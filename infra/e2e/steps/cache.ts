// Upkeep of the shared cache, and a failure of Redis.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../aws.ts';
import { PREFIX } from '../stack.ts';
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
  // The last commit of this player finished a task. Loading its row does not write the history row
  // again, because everything that the commit led to is published.
  for (const action of ['warm', 'rebuild']) {
    const { answer } = await aws.invoke(functionName, { action, playerIds: [REPORTING_PLAYER] });
    const result = answer[action] as Row | undefined;
    assert.deepEqual([result?.['players'], result?.['failed']], [1, 0], `${action}: ${JSON.stringify(answer)}`);
    assert.equal(historyRowsWritten(answer), undefined, `${action}: ${JSON.stringify(answer)}`);
  }
}

/** The number of history rows that an invocation has written, from its report. */
function historyRowsWritten(answer: Row): number | undefined {
  const { report } = answer as { report?: { writes?: { byTable?: { history?: { items?: number } } } } };
  return report?.writes?.byTable?.history?.items;
}

/** Players continue while Redis is down. */
export async function killAndRestartRedis({ redis }: Deployed, traffic: Traffic): Promise<void> {
  const sentBefore = traffic.sent;
  await redis.kill();
  await sleep(REDIS_OUTAGE_MS);
  assert.ok(traffic.sent > sentBefore, 'players sent commands without Redis');
  await redis.start();
}
