// Finds the programs that the end-to-end test needs. A missing program fails the test with the
// command that installs it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FUNCTION_NAMES } from '../lib/settings.ts';
import { type FunctionBinary, findBinary } from './binaries.ts';
import { findOnPath } from './processes.ts';

export const ROOT = join(import.meta.dirname, '../..');
/** The Makefile installs these versions. */
const MINISTACK_VERSION = '1.5.33';
const AWS_CLI_VERSION = '1.46.3';
const VALKEY_VERSION = '9.1.2.post2';

export interface Requirements {
  /** The Python interpreter of the virtual environment of MiniStack. */
  python: string;
  /** The Python interpreter of the virtual environment of the AWS CLI. */
  awsCli: string;
  redisServer: string;
  valkeyServer: string;
  openssl: string;
  /** Set if a binary has debug information. */
  strip: string | undefined;
  /** Set if a binary is for another processor. */
  qemu: string | undefined;
  /** The functions and the example worker in Rust. */
  binaries: FunctionBinary[];
}

/** Finds everything. Throws an error that lists all that is missing. */
export function findRequirements(): Requirements {
  const finder = new Finder();
  const built = join(ROOT, 'target/debug');
  const binDirectory = process.env['MILLRACE_BIN_DIR'] ?? built;
  const binaries = [
    ...FUNCTION_NAMES.flatMap((name) => finder.findFunction(binDirectory, name)),
    ...finder.findFunction(built, 'worker-rust'),
  ];
  const found = {
    python: finder.findMiniStack(),
    awsCli: finder.find('the AWS CLI', 'make servers', [join(ROOT, `.tools/awscli-${AWS_CLI_VERSION}/bin/python`)]),
    redisServer: finder.find('redis-server', 'make servers', [
      findOnPath('redis-server'),
      join(ROOT, '.tools/redis/redis-server'),
    ]),
    valkeyServer: finder.find('valkey-server', 'make servers', [
      join(ROOT, `.tools/valkey-${VALKEY_VERSION}/valkey-server`),
    ]),
    openssl: finder.findProgram('openssl', 'apt-get install openssl, dnf install openssl or brew install openssl'),
    strip: binaries.some(({ isShipped }) => !isShipped)
      ? finder.findProgram('strip', 'apt-get install binutils or dnf install binutils')
      : undefined,
    qemu: binaries.some(({ needsQemu }) => needsQemu) ? finder.findQemu() : undefined,
    binaries,
  };
  // The programs that the runbook uses.
  for (const name of ['bash', 'jq']) {
    finder.findProgram(name, `apt-get install ${name}, dnf install ${name} or brew install ${name}`);
  }
  finder.throwIfMissing();
  return found;
}

/** Finds programs and collects what is missing. */
export class Finder {
  private readonly missing: string[] = [];

  constructor() {
    if (process.platform !== 'linux') {
      this.missing.push(`Linux, because the functions are built for it. This machine has ${process.platform}`);
    }
  }

  /** The first of the files that exists. */
  find(what: string, howToInstall: string, files: (string | undefined)[]): string {
    const file = files.find((candidate) => candidate !== undefined && existsSync(candidate));
    if (file === undefined) {
      this.missing.push(`${what}. To install it: ${howToInstall}`);
    }
    return file ?? '';
  }

  findProgram(name: string, howToInstall: string): string {
    return this.find(name, howToInstall, [findOnPath(name)]);
  }

  findMiniStack(): string {
    return this.find('MiniStack', 'make servers', [join(ROOT, `.tools/ministack-${MINISTACK_VERSION}/bin/python`)]);
  }

  findQemu(): string {
    return this.findProgram('qemu-aarch64', 'apt-get install qemu-user libc6-arm64-cross');
  }

  findFunction<Name extends string>(directory: string, name: Name): FunctionBinary<Name>[] {
    const binary = findBinary(directory, name);
    if (binary === undefined) {
      this.missing.push(
        `${join(directory, name)}. To build it: cargo build, or name its directory: MILLRACE_BIN_DIR=...`,
      );
      return [];
    }
    return [binary];
  }

  throwIfMissing(): void {
    if (this.missing.length > 0) {
      throw new Error(`missing on this machine:\n${this.missing.join('\n')}`);
    }
  }
}
