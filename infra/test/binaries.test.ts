// The layouts of function binaries that the end-to-end test accepts.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findBinary, layOutFunctions } from '../e2e/binaries.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-binaries-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const NAME = 'queue-api';
const MACHINES = { x64: 62, arm64: 183 };

/** The header of an ELF file for a processor. */
function elfHeader(machine: keyof typeof MACHINES): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7fELF', 'latin1');
  header.writeUInt16LE(MACHINES[machine], 18);
  return header;
}

const hostMachine = process.arch === 'arm64' ? 'arm64' : 'x64';

test('a binary of cargo build is found by its name', () => {
  const built = join(directory, 'debug');
  mkdirSync(built);
  writeFileSync(join(built, NAME), elfHeader(hostMachine));
  const expected = { name: NAME, file: join(built, NAME), isShipped: false, needsQemu: false };
  assert.deepEqual(findBinary(built, NAME), expected);
});

test('a binary of make functions is found in the directory of its function and laid out unchanged', async () => {
  const functions = join(directory, 'functions');
  mkdirSync(join(functions, NAME), { recursive: true });
  const file = join(functions, NAME, 'bootstrap');
  writeFileSync(file, elfHeader(hostMachine));
  const binary = findBinary(functions, NAME);
  assert.deepEqual(binary, { name: NAME, file, isShipped: true, needsQemu: false });
  const target = join(directory, 'laid-out');
  await layOutFunctions([binary], target, {});
  const bootstrap = join(target, NAME, 'bootstrap');
  assert.deepEqual(readFileSync(bootstrap), elfHeader(hostMachine));
  assert.equal(statSync(bootstrap).mode & 0o111, 0o111, 'it is executable');
});

test('a binary for arm64 runs under qemu on another processor', { skip: process.arch === 'arm64' }, async () => {
  const functions = join(directory, 'arm64');
  mkdirSync(join(functions, NAME), { recursive: true });
  writeFileSync(join(functions, NAME, 'bootstrap'), elfHeader('arm64'));
  const binary = findBinary(functions, NAME);
  assert.equal(binary?.needsQemu, true);
  // A program in the place of qemu that prints its arguments.
  const qemu = join(directory, 'qemu');
  writeFileSync(qemu, '#!/bin/sh\necho "$@"\n');
  chmodSync(qemu, 0o755);
  const target = join(directory, 'with-qemu');
  await layOutFunctions([binary], target, { qemu });
  const script = readFileSync(join(target, NAME, 'bootstrap'), 'utf8');
  assert.equal(script, `#!/bin/sh\nexec ${qemu} -L /usr/aarch64-linux-gnu "\${0%/*}/function"\n`);
  assert.deepEqual(readFileSync(join(target, NAME, 'function')), elfHeader('arm64'));
});

test('a missing binary is not found', () => {
  assert.equal(findBinary(directory, NAME), undefined);
  mkdirSync(join(directory, NAME));
  assert.equal(findBinary(directory, NAME), undefined, 'a directory without bootstrap');
});
