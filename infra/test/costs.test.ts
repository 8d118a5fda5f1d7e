// What the documentation says about costs is what is computed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { bill, BUSY, IDLE } from '../costs/model.ts';
import { PRICES_OF } from '../costs/prices.ts';
import { table } from '../costs/table.ts';
import { CODE } from './support.ts';

test('the table of costs in docs/deploying.md is the one that `make costs` prints', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/deploying.md'), 'utf8');
  assert.ok(text.includes(PRICES_OF), `docs/deploying.md does not say that the prices are of ${PRICES_OF}`);
  assert.ok(text.includes(table(CODE)), `docs/deploying.md has another table than:\n${table(CODE)}`);
});

test('what is not used costs nothing more than what is there anyway', () => {
  const idle = bill(stages.production, CODE, IDLE);
  const busy = bill(stages.production, CODE, BUSY);
  assert.equal(idle['Cache'], 3 * 0.158 * 730);
  assert.equal(idle['DynamoDB: writes'], 0);
  assert.equal(idle['HTTP API'], 0);
  // Twice the commands, twice their writes.
  const twice = bill(stages.production, CODE, { ...BUSY, commands: 2 * BUSY.commands, reports: 2 * BUSY.reports });
  assert.equal(twice['DynamoDB: writes'], 2 * (busy['DynamoDB: writes'] ?? 0));
});
