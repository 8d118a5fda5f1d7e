// `make release`: one zip for each function, and their hashes, in target/release-functions. They
// can be deployed from any clone of the same version: make deploy STAGE=production RELEASE=...

import { execFileSync } from 'node:child_process';
import { copyFileSync, chmodSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FUNCTION_NAMES } from '../lib/settings.ts';
import { CHECKSUMS_FILE, hashOfFile, problemsOf } from './check-functions.ts';

/** The earliest time of a zip. With the same time, equal functions have equal zips. */
const TIME = new Date('1980-01-01T12:00:00Z');

/** Makes the zips of built functions. */
export function zipFunctions(functions: string, directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const bootstrap = join(directory, 'bootstrap');
  for (const name of FUNCTION_NAMES) {
    copyFileSync(join(functions, name, 'bootstrap'), bootstrap);
    chmodSync(bootstrap, 0o755);
    utimesSync(bootstrap, TIME, TIME);
    // Lambda needs the permission to execute, which zipfile keeps.
    execFileSync('python3', ['-m', 'zipfile', '-c', `${name}.zip`, 'bootstrap'], { cwd: directory });
  }
  rmSync(bootstrap);
  const lines = FUNCTION_NAMES.map((name) => `${hashOfFile(join(directory, `${name}.zip`))}  ${name}.zip\n`);
  writeFileSync(join(directory, CHECKSUMS_FILE), lines.join(''));
}

if (process.argv[1] === import.meta.filename) {
  const target = join(import.meta.dirname, '../../target');
  const functions = join(target, 'functions');
  const problems = problemsOf(functions);
  if (problems.length > 0) {
    console.error(problems.join('\n'));
    process.exit(1);
  }
  zipFunctions(functions, join(target, 'release-functions'));
  console.log(join(target, 'release-functions'));
}
