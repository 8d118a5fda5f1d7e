// The processor that a program is built for.

import { closeSync, openSync, readSync } from 'node:fs';

/** Offset and value of the machine in the header of an ELF file. */
const MACHINE_OFFSET = 18;
const MACHINE_ARM64 = 183;

/** The length of a header that names the processor. */
export const HEADER_BYTES = MACHINE_OFFSET + 2;

export type Processor = 'arm64' | 'other' | 'none';

/** `none`: the header is not that of a program for Linux. */
export function processorOf(header: Buffer): Processor {
  const isElf = header.length >= HEADER_BYTES && header.subarray(0, 4).toString('latin1') === '\x7fELF';
  if (!isElf) {
    return 'none';
  }
  return header.readUInt16LE(MACHINE_OFFSET) === MACHINE_ARM64 ? 'arm64' : 'other';
}

export function processorOfFile(file: string): Processor {
  const header = Buffer.alloc(HEADER_BYTES);
  const descriptor = openSync(file, 'r');
  readSync(descriptor, header);
  closeSync(descriptor);
  return processorOf(header);
}
