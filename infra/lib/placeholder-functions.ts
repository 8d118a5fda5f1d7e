// Empty functions, for a synthesis that is not deployed: tests and the cost model.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FUNCTION_NAMES } from './settings.ts';

/**
 * Returns a directory with an empty `<function>/bootstrap` for each function. It is deleted at
 * exit.
 */
export function createPlaceholderFunctions(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-functions-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const name of FUNCTION_NAMES) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'bootstrap'), '');
  }
  return directory;
}
