// Reads the beginning of `bootstrap` in the zip of a function.

import { readFileSync } from 'node:fs';
import { constants, inflateRawSync } from 'node:zlib';

const SIGNATURE = 0x04034b50;
const FIXED_BYTES = 30;
const DEFLATED = 8;
/** More than a header of a program takes when compressed. */
const READ_BYTES = 4096;

/** The first bytes of the first file of a zip. Undefined: the first file is not `bootstrap`. */
export function beginningOfBootstrap(file: string): Buffer | undefined {
  const zip = readFileSync(file);
  if (zip.length < FIXED_BYTES || zip.readUInt32LE(0) !== SIGNATURE) {
    return undefined;
  }
  const method = zip.readUInt16LE(8);
  const nameEnd = FIXED_BYTES + zip.readUInt16LE(26);
  const name = zip.subarray(FIXED_BYTES, nameEnd).toString();
  if (name !== 'bootstrap') {
    return undefined;
  }
  const start = nameEnd + zip.readUInt16LE(28);
  const content = zip.subarray(start, start + READ_BYTES);
  return method === DEFLATED ? inflateRawSync(content, { finishFlush: constants.Z_SYNC_FLUSH }) : content;
}
