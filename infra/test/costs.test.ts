// The cost model and the table in the documentation.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUSY, IDLE, monthlyCosts } from '../costs/model.ts';
import { PRICES_OF } from '../costs/prices.ts';
import { costTable } from '../costs/table.ts';
import { stages } from '../lib/settings.ts';
import { codeDirectory } from './support.ts';

test('docs/deploying.md contains the table and the date that `make costs` prints', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/deploying.md'), 'utf8');
  const table = costTable(codeDirectory);
  assert.ok(text.includes(PRICES_OF), `docs/deploying.md does not state that the prices are of ${PRICES_OF}`);
  assert.ok(text.includes(table), `docs/deploying.md does not contain:\n${table}`);
});

test('an idle stage has only its fixed costs', () => {
  const idle = monthlyCosts(stages.production, codeDirectory, IDLE);
  assert.equal(idle['Cache'], 3 * 0.158 * 730);
  assert.equal(idle['DynamoDB: writes'], 0);
  assert.equal(idle['HTTP API'], 0);
});

test('twice the commands and reports cost twice the writes', () => {
  const doubled = { ...BUSY, commands: 2 * BUSY.commands, reports: 2 * BUSY.reports };
  const busy = monthlyCosts(stages.production, codeDirectory, BUSY);
  const busier = monthlyCosts(stages.production, codeDirectory, doubled);
  assert.equal(busier['DynamoDB: writes'], 2 * (busy['DynamoDB: writes'] ?? 0));
});
