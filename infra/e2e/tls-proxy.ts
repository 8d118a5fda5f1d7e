// Takes connections with TLS and passes them on without, for servers that are built without TLS.

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Certificates } from './certificates.ts';

export class TlsProxy {
  private constructor(private readonly server: Server) {}

  static async start({ certificate, key }: Certificates, port: number, target: number): Promise<TlsProxy> {
    const options = { cert: readFileSync(certificate), key: readFileSync(key) };
    const server = createServer(options, (client) => pass(client, target));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return new TlsProxy(server);
  }

  /** Connections that are open end with the server behind. */
  stop(): void {
    this.server.close();
  }
}

function pass(client: TLSSocket, target: number): void {
  const server = connect(target, '127.0.0.1');
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}
