// The servers: Redis, MiniStack in the place of AWS, and who issues the tokens of players.

import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:https';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Certificates } from './certificates.ts';
import { freePort, Program } from './processes.ts';

/** A user of the cache as the stack declares it. */
export interface CacheUser {
  name: string;
  accessString: string;
}

/** Redis over TLS, with the users of the stack. It takes any token for a password: what signs and checks tokens is
 *  AWS; what a user may do is checked here, as there. */
export class Redis {
  private program?: Program;

  private constructor(
    private readonly command: string,
    private readonly file: string,
    private readonly authority: string,
    readonly port: number,
  ) {}

  static async start(
    command: string,
    directory: string,
    certificates: Certificates,
    users: CacheUser[],
  ): Promise<Redis> {
    const port = await freePort();
    const file = join(directory, 'redis.conf');
    const acl = users.map(({ name, accessString }) => `user ${name} nopass ${accessString}`);
    writeFileSync(
      file,
      [
        'bind 127.0.0.1',
        'port 0',
        `tls-port ${port}`,
        'tls-auth-clients no',
        'save ""',
        'appendonly no',
        `dir ${directory}`,
        `tls-cert-file ${certificates.certificate}`,
        `tls-key-file ${certificates.key}`,
        `tls-ca-cert-file ${certificates.authority}`,
        ...acl,
        // The test itself, to look and to count.
        'user observer on nopass ~* +@all',
        'user default off',
        '',
      ].join('\n'),
    );
    const redis = new Redis(command, file, certificates.authority, port);
    await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    this.program = new Program('redis-server', this.command, [this.file], {});
    await this.program.ready(async () => {
      try {
        return (await this.ask('PING')) === '+PONG';
      } catch {
        return false;
      }
    });
  }

  /** As a machine that loses its power. */
  async kill(): Promise<void> {
    await this.program?.stopAtOnce();
  }

  /** Asks one thing and gives the first line of the answer. */
  ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connectTls({ host: 'localhost', port: this.port, ca: readFileSync(this.authority) });
      socket.setTimeout(2000, () => socket.destroy(new Error('Redis does not answer')));
      socket.once('error', reject);
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
        const [login, answer] = text.split('\r\n');
        if (login !== undefined && login !== '' && !login.startsWith('+OK')) {
          reject(new Error(login));
          socket.destroy();
        } else if (answer !== undefined && text.split('\r\n').length > 2) {
          resolve(answer);
          socket.destroy();
        }
      });
      socket.write(`AUTH observer any\r\n${command}\r\n`);
    });
  }
}

/** AWS, as far as MiniStack goes: over TLS, and with IAM enforced. */
export class MiniStack {
  private constructor(
    private readonly program: Program,
    readonly port: number,
  ) {}

  static async start(python: string, directory: string, certificates: Certificates, redis: Redis): Promise<MiniStack> {
    const port = await freePort();
    mkdirSync(directory, { recursive: true });
    // Nothing of this process's environment: it hands its own on to the functions that it runs.
    const program = new Program('MiniStack', python, ['-m', 'ministack'], {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: directory,
      TMPDIR: directory,
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      MINISTACK_REGION: REGION,
      AUTH: 'true',
      USE_SSL: '1',
      MINISTACK_SSL_CERT: certificates.certificate,
      MINISTACK_SSL_KEY: certificates.key,
      IOT_MTLS_ENABLED: '0',
      S3_DATA_DIR: join(directory, 's3'),
      STATE_DIR: join(directory, 'state'),
      // What AWS tells its functions by being there: which authorities to trust, and where AWS is.
      SSL_CERT_FILE: certificates.authority,
      AWS_ENDPOINT_URL: `https://localhost:${port}`,
      // Every cache that the stack declares is this one.
      REDIS_HOST: 'localhost',
      REDIS_PORT: String(redis.port),
    });
    const ca = readFileSync(certificates.authority);
    await program.ready(
      () =>
        new Promise((resolve) => {
          const asked = request({ host: 'localhost', port, path: '/_ministack/ready', ca }, (answer) => {
            answer.resume();
            resolve(answer.statusCode === 200);
          });
          asked.once('error', () => resolve(false));
          asked.end();
        }),
    );
    return new MiniStack(program, port);
  }

  get endpoint(): string {
    return `https://localhost:${this.port}`;
  }

  get log(): string {
    return this.program.log;
  }

  async stop(): Promise<void> {
    await this.program.stop();
  }
}

export const REGION = 'us-east-1';

/** An OpenID provider: its keys, where API Gateway looks for them, and tokens. */
export class Issuer {
  private constructor(
    private readonly server: Server,
    private readonly privateKey: string,
    readonly url: string,
  ) {}

  static async start(certificates: Certificates): Promise<Issuer> {
    const port = await freePort();
    const url = `https://localhost:${port}`;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
    const answers: Record<string, object> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': { keys: [{ ...jwk, kid: 'k-1', use: 'sig', alg: 'RS256' }] },
    };
    const options = { cert: readFileSync(certificates.certificate), key: readFileSync(certificates.key) };
    const server = createServer(options, (asked, answer) => {
      const found = answers[asked.url ?? ''];
      answer.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
      answer.end(JSON.stringify(found ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new Issuer(server, pem, url);
  }

  /** A token for five minutes. */
  token(claims: { sub: string; scope?: string; aud?: string; exp?: number }, key = this.privateKey): string {
    const now = Math.floor(Date.now() / 1000);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const body = { iss: this.url, aud: AUDIENCE, iat: now - 1, exp: now + 300, ...claims };
    const signed = `${part({ alg: 'RS256', typ: 'JWT', kid: 'k-1' })}.${part(body)}`;
    return `${signed}.${sign('sha256', Buffer.from(signed), createPrivateKey(key)).toString('base64url')}`;
  }

  /** One that somebody else signed. */
  forged(claims: { sub: string; scope?: string }): string {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return this.token(claims, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export const AUDIENCE = 'millrace';
