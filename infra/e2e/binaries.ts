// The binaries of the functions. MILLRACE_BIN_DIR names their directory, in one of two layouts:
//
//   <directory>/<function>             as `cargo build` leaves them; the default is target/debug
//   <directory>/<function>/bootstrap   as `make functions` leaves them, in target/functions
//
// To test what is shipped: make functions && make e2e MILLRACE_BIN_DIR=target/functions
//
// Binaries for arm64 run under qemu on other machines. Shipped binaries have no embedded store, so
// everything here runs functions with MILLRACE_STORE=dynamodb.

import { chmodSync, copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processorOfFile } from '../deploy/elf.ts';
import { run } from './processes.ts';

/** The directory of the C library of arm64 in Debian's package libc6-arm64-cross. */
const ARM64_SYSROOT = '/usr/aarch64-linux-gnu';

export interface FunctionBinary<Name extends string = string> {
  name: Name;
  file: string;
  /** Built by `make functions`, and deployed as it is. Other binaries have debug information. */
  isShipped: boolean;
  /** Built for arm64 while this machine has another processor. */
  needsQemu: boolean;
}

/** Finds the binary of a function in either layout. */
export function findBinary<Name extends string>(directory: string, name: Name): FunctionBinary<Name> | undefined {
  const path = join(directory, name);
  const isShipped = existsSync(path) && statSync(path).isDirectory();
  const file = isShipped ? join(path, 'bootstrap') : path;
  if (!existsSync(file)) {
    return undefined;
  }
  return { name, file, isShipped, needsQemu: isForArm64(file) && process.arch !== 'arm64' };
}

/** Programs for the layout. Each is required only for some binaries. */
export interface LayoutTools {
  strip?: string | undefined;
  qemu?: string | undefined;
}

/** Copies binaries to `<directory>/<function>/bootstrap`, where the stack expects them. */
export async function layOutFunctions(
  binaries: FunctionBinary[],
  directory: string,
  tools: LayoutTools,
): Promise<void> {
  for (const binary of binaries) {
    const target = join(directory, binary.name);
    mkdirSync(target, { recursive: true });
    const bootstrap = join(target, 'bootstrap');
    if (binary.needsQemu) {
      copyFileSync(binary.file, join(target, 'function'));
      const command = arm64Command('"${0%/*}/function"', tools.qemu ?? 'qemu-aarch64');
      writeFileSync(bootstrap, `#!/bin/sh\nexec ${command.join(' ')}\n`);
    } else {
      copyFileSync(binary.file, bootstrap);
      if (!binary.isShipped) {
        // Without debug information the upload is a tenth of the size.
        await run(tools.strip ?? 'strip', [bootstrap]);
      }
    }
    chmodSync(bootstrap, 0o755);
  }
}

export function isForArm64(file: string): boolean {
  return processorOfFile(file) === 'arm64';
}

/**
 * The command line for a binary for arm64. With `qemu`, the path of qemu-aarch64, it runs on any
 * processor.
 */
export function arm64Command(file: string, qemu: string | undefined): [string, ...string[]] {
  return qemu === undefined ? [file] : [qemu, '-L', ARM64_SYSROOT, file];
}
