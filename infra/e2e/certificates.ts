// A certificate authority for one run, and a certificate for all servers on this machine.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './processes.ts';

/** Paths of PEM files. */
export interface Certificates {
  authority: string;
  certificate: string;
  key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const VALID = ['-days', '2'];

export async function createCertificates(openssl: string, directory: string): Promise<Certificates> {
  const path = (name: string) => join(directory, name);
  const authorityKey = path('authority.key');
  const request = path('server.csr');
  const extensions = path('extensions');
  const files = { authority: path('authority.pem'), certificate: path('server.pem'), key: path('server.key') };
  const openSsl = (...args: string[][]) => run(openssl, args.flat());
  await openSsl(
    ['req', '-x509', ...NEW_KEY, ...VALID],
    ['-keyout', authorityKey, '-out', files.authority],
    ['-subj', '/CN=Millrace test authority', '-addext', 'keyUsage=critical,keyCertSign'],
  );
  await openSsl(['req', ...NEW_KEY, '-keyout', files.key, '-out', request, '-subj', '/CN=localhost']);
  writeFileSync(extensions, 'subjectAltName=DNS:localhost,DNS:*.execute-api.localhost,IP:127.0.0.1\n');
  await openSsl(
    ['x509', '-req', '-in', request, ...VALID, '-extfile', extensions, '-out', files.certificate],
    ['-CA', files.authority, '-CAkey', authorityKey, '-CAcreateserial'],
  );
  return files;
}
