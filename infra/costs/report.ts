// `make costs`: prints the assumed load and the monthly costs.

import { createPlaceholderFunctions } from '../lib/placeholder-functions.ts';
import { BUSY } from './model.ts';
import { PRICES_OF } from './prices.ts';
import { costTable, worstCaseTable } from './table.ts';

const millions = (count: number) => `${count / 1e6} million`;
console.log(`List prices of ${PRICES_OF}, without free tiers and discounts.`);
console.log(
  `A busy month: ${millions(BUSY.commands)} commands, ${millions(BUSY.reports)} progress reports, ` +
    `${millions(BUSY.reads)} reads over HTTP, ${BUSY.storedGb} GB stored.\n`,
);
// The model synthesizes the stack to count its alarms, which requires functions.
console.log(costTable(createPlaceholderFunctions()));
console.log(`\nThe most that callers of the HTTP API can cause:\n\n${worstCaseTable()}`);
