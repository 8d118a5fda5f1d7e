// `make costs`: what is assumed, and what comes out.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FUNCTION_NAMES } from '../lib/settings.ts';
import { BUSY } from './model.ts';
import { PRICES_OF } from './prices.ts';
import { table } from './table.ts';

// The number of alarms is taken from the stack, which wants to see functions.
const directory = mkdtempSync(join(tmpdir(), 'millrace-costs-'));
for (const name of FUNCTION_NAMES) {
  mkdirSync(join(directory, name));
  writeFileSync(join(directory, name, 'bootstrap'), '');
}
const millions = (count: number) => `${count / 1e6} million`;
console.log(
  `List prices of ${PRICES_OF}, without free tiers and discounts. A busy month: ${millions(BUSY.commands)} commands,`,
);
console.log(
  `${millions(BUSY.reports)} reports of progress, ${millions(BUSY.reads)} reads over HTTP, ${BUSY.storedGb} GB stored.\n`,
);
console.log(table(directory));
rmSync(directory, { recursive: true, force: true });
