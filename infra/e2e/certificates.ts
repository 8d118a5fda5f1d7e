// An authority for one run, and a certificate of it for whatever listens on this machine.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './processes.ts';

export interface Certificates {
  authority: string;
  certificate: string;
  key: string;
}

export async function makeCertificates(openssl: string, directory: string): Promise<Certificates> {
  const file = (name: string) => join(directory, name);
  const authorityKey = file('authority.key');
  const request = file('server.csr');
  const extensions = file('extensions');
  const files = { authority: file('authority.pem'), certificate: file('server.pem'), key: file('server.key') };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run(openssl, [
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    authorityKey,
    '-out',
    files.authority,
    '-days',
    '2',
    '-subj',
    '/CN=Millrace test authority',
    '-addext',
    'keyUsage=critical,keyCertSign',
  ]);
  await run(openssl, ['req', ...newKey, '-keyout', files.key, '-out', request, '-subj', '/CN=localhost']);
  writeFileSync(extensions, 'subjectAltName=DNS:localhost,DNS:*.execute-api.localhost,IP:127.0.0.1\n');
  await run(openssl, [
    'x509',
    '-req',
    '-in',
    request,
    '-CA',
    files.authority,
    '-CAkey',
    authorityKey,
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    extensions,
    '-out',
    files.certificate,
  ]);
  return files;
}
