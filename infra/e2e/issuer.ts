// An OpenID provider: publishes its keys, where API Gateway fetches them, and issues tokens.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Certificates } from './certificates.ts';
import { findFreePort } from './processes.ts';

/** The audience of the tokens of the HTTP API. */
export const AUDIENCE = 'millrace';

const ALGORITHM = 'RS256';
const KEY_ID = 'k-1';
const LIFETIME_SECONDS = 300;

/** Claims that replace or extend those of a valid token. */
export interface Claims {
  sub: string;
  scope?: string;
  aud?: string;
  /** Seconds since the epoch. */
  exp?: number;
}

type PrivateKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];

export class Issuer {
  private constructor(
    private readonly server: Server,
    private readonly privateKey: PrivateKey,
    readonly url: string,
  ) {}

  static async start(certificates: Certificates): Promise<Issuer> {
    const port = await findFreePort();
    const url = `https://localhost:${port}`;
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM);
    const jwk = { ...(await exportJWK(publicKey)), kid: KEY_ID, use: 'sig', alg: ALGORITHM };
    const documents: Record<string, object> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': { keys: [jwk] },
    };
    const options = { cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) };
    const server = createServer(options, (request, response) => {
      const document = documents[request.url ?? ''];
      response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(document ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new Issuer(server, privateKey, url);
  }

  /** A valid token, unless the claims make it invalid. */
  token(claims: Claims): Promise<string> {
    return this.sign(claims, this.privateKey);
  }

  /** A token that is signed with the key of another provider. */
  async forgedToken(claims: Claims): Promise<string> {
    const { privateKey } = await generateKeyPair(ALGORITHM);
    return this.sign(claims, privateKey);
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private sign(claims: Claims, key: PrivateKey): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const validity = { iat: now - 1, exp: now + LIFETIME_SECONDS };
    return new SignJWT({ iss: this.url, aud: AUDIENCE, ...validity, ...claims })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: KEY_ID })
      .sign(key);
  }
}
