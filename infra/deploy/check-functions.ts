// Checks the functions before they are deployed: all are there, for the right processor, and built
// from these sources or complete as they were released.

import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FUNCTION_NAMES } from '../lib/settings.ts';
import { processorOf, processorOfFile } from './elf.ts';
import { beginningOfBootstrap } from './zip.ts';

const ROOT = join(import.meta.dirname, '../..');

/** `make functions` writes the hash of the sources into this file. */
export const SOURCES_FILE = 'built-from';
/** `make release` writes the hashes of the zips into this file. */
export const CHECKSUMS_FILE = 'SHA256SUMS';

/** What stands against a deployment, as sentences. Empty: nothing. */
export function problemsOf(directory: string, sourceHash: () => string = hashOfSources): string[] {
  const problems = FUNCTION_NAMES.flatMap((name) => problemOfFunction(directory, name) ?? []);
  if (problems.length > 0) {
    return problems;
  }
  return existsSync(join(directory, CHECKSUMS_FILE)) ? problemsOfRelease(directory) : staleness(directory, sourceHash);
}

function problemOfFunction(directory: string, name: string): string | undefined {
  const bootstrap = join(directory, name, 'bootstrap');
  const zip = join(directory, `${name}.zip`);
  if (!existsSync(bootstrap) && !existsSync(zip)) {
    return `${bootstrap} and ${zip} are missing: run \`make functions\`, or name the directory of a release`;
  }
  const [file, processor] = existsSync(bootstrap)
    ? [bootstrap, processorOfFile(bootstrap)]
    : [zip, processorOf(beginningOfBootstrap(zip) ?? Buffer.alloc(0))];
  switch (processor) {
    case 'arm64':
      return undefined;
    case 'other':
      return `${file} is not built for arm64: run \`make functions\``;
    case 'none':
      return `${file} has no program for Linux: run \`make functions\``;
  }
}

function staleness(directory: string, sourceHash: () => string): string[] {
  const file = join(directory, SOURCES_FILE);
  if (!existsSync(file)) {
    return [`${file} is missing, so it is unknown what the functions were built from: run \`make functions\``];
  }
  return readFileSync(file, 'utf8').trim() === sourceHash()
    ? []
    : [`the functions in ${directory} were built from other sources: run \`make functions\``];
}

/** Lines as `sha256sum` writes them. */
function problemsOfRelease(directory: string): string[] {
  const lines = readFileSync(join(directory, CHECKSUMS_FILE), 'utf8').trim().split('\n');
  const sums = new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
  return FUNCTION_NAMES.map((name) => `${name}.zip`)
    .filter((name) => sums.get(name) !== hashOfFile(join(directory, name)))
    .map((name) => `${join(directory, name)} is not the one of the release: its hash is not in ${CHECKSUMS_FILE}`);
}

export function hashOfFile(file: string): string {
  return existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('hex') : '';
}

function hashOfSources(): string {
  return execFileSync(join(ROOT, 'scripts/source-hash'), { encoding: 'utf8' }).trim();
}
