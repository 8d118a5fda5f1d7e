// What the machine must have. Nothing is skipped: what is missing is said, with how to get it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FUNCTION_NAMES } from '../lib/settings.ts';
import { onPath } from './processes.ts';

export const ROOT = join(import.meta.dirname, '../..');
/** As the Makefile installs it. */
const MINISTACK_VERSION = '1.5.33';

export interface Requirements {
  /** The Python that MiniStack is installed in. */
  python: string;
  redisServer: string;
  openssl: string;
  strip: string;
  /** Where the binaries of the functions are. */
  binaries: string;
}

export function requirements(): Requirements {
  const binaries = process.env['MILLRACE_BIN_DIR'] ?? join(ROOT, 'target/debug');
  const missing: string[] = [];
  const found = (what: string, how: string, file: string | undefined): string => {
    if (file === undefined || !existsSync(file)) {
      missing.push(`${what} is missing. To get it: ${how}`);
      return '';
    }
    return file;
  };
  const result = {
    python: found('MiniStack', 'make servers', join(ROOT, `.tools/ministack-${MINISTACK_VERSION}/bin/python`)),
    redisServer: found(
      'redis-server',
      'make servers',
      onPath('redis-server') ?? join(ROOT, '.tools/redis/redis-server'),
    ),
    openssl: found(
      'openssl',
      'apt-get install openssl, or dnf install openssl, or brew install openssl',
      onPath('openssl'),
    ),
    strip: found(
      'strip',
      'apt-get install binutils, or dnf install binutils, or xcode-select --install',
      onPath('strip'),
    ),
    binaries,
  };
  for (const name of FUNCTION_NAMES) {
    found(
      join(binaries, name),
      'cargo build, or name the directory that has it: MILLRACE_BIN_DIR=...',
      join(binaries, name),
    );
  }
  if (process.platform !== 'linux') {
    missing.push(
      `Lambda runs on Linux, and so do its functions; this is ${process.platform}. Run this in a Linux machine`,
    );
  }
  if (missing.length > 0) {
    throw new Error(`this machine lacks what the end-to-end test needs:\n${missing.join('\n')}`);
  }
  return result;
}
