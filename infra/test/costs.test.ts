// The cost model and the table in the documentation.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUSY, IDLE, monthlyCosts } from '../costs/model.ts';
import { PRICES_OF } from '../costs/prices.ts';
import { BRAKED, costTable, worstCaseTable } from '../costs/table.ts';
import { worstHourOfPlayer, worstHourOfStranger } from '../costs/worst-case.ts';
import { type CacheSettings, NODE_CACHE, stages } from '../lib/settings.ts';
import { validate } from '../lib/validation.ts';
import { codeDirectory } from './support.ts';

test('docs/deploying.md contains the tables and the date that `make costs` prints', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/deploying.md'), 'utf8');
  assert.ok(text.includes(PRICES_OF), `docs/deploying.md does not state that the prices are of ${PRICES_OF}`);
  for (const table of [costTable(codeDirectory), worstCaseTable()]) {
    assert.ok(text.includes(table), `docs/deploying.md does not contain:\n${table}`);
  }
});

test('an idle stage has only its fixed costs', () => {
  const idleCache = (cache: CacheSettings) =>
    monthlyCosts({ ...stages.production, cache }, codeDirectory, IDLE)['Cache'];
  assert.equal(idleCache({ kind: 'none' }), 0);
  assert.equal(idleCache(stages.production.cache), 0.1 * 0.084 * 730, 'the minimum of a serverless cache');
  assert.equal(idleCache(NODE_CACHE), 3 * 0.158 * 0.8 * 730);
  const idle = monthlyCosts(stages.production, codeDirectory, IDLE);
  assert.equal(idle['DynamoDB: writes'], 0);
  assert.equal(idle['HTTP API'], 0);
});

test('an idle month of dev costs less than $2', () => {
  const costs = Object.values(monthlyCosts(stages.dev, codeDirectory, IDLE));
  const total = costs.reduce((sum, value) => sum + value, 0);
  assert.ok(total > 1 && total < 2, String(total));
});

test('brakes are allowed settings and limit what a player can cost', () => {
  validate(BRAKED);
  const worst = worstHourOfPlayer(stages.production);
  const braked = worstHourOfPlayer(BRAKED);
  for (const [item, costs] of Object.entries(braked)) {
    assert.ok(costs < (worst[item] ?? 0), item);
  }
  assert.equal(worst['DynamoDB: writes'], 7 * 1000 * 3600 * 0.625e-6, 'six tables and an index');
  assert.equal(braked['DynamoDB: writes'], 7 * 200 * 3600 * 0.625e-6);
});

test('a caller without a token is limited by the throttle of the health check', () => {
  const requests = 2 * stages.production.api.healthRequestsPerSecond * 3600;
  assert.equal(worstHourOfStranger(stages.production)['HTTP API'], requests * 1e-6);
});

test('twice the commands and reports cost twice the writes', () => {
  const doubled = { ...BUSY, commands: 2 * BUSY.commands, reports: 2 * BUSY.reports };
  const busy = monthlyCosts(stages.production, codeDirectory, BUSY);
  const busier = monthlyCosts(stages.production, codeDirectory, doubled);
  assert.equal(busier['DynamoDB: writes'], 2 * (busy['DynamoDB: writes'] ?? 0));
});
