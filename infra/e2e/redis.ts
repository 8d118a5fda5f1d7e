// Redis over TLS, with the users of the stack. It restricts each user as ElastiCache does, but it
// accepts any token as the password, because only AWS can check tokens.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { findFreePort, Program, run } from './processes.ts';

/** A user of the cache, as the stack declares it. */
export interface CacheUser {
  name: string;
  accessString: string;
}

/** The user of the test itself. */
const OBSERVER = 'observer';

export class Redis {
  private program?: Program;

  private constructor(
    private readonly redisServer: string,
    private readonly configuration: string,
    private readonly authority: string,
    readonly port: number,
  ) {}

  static async start(
    redisServer: string,
    directory: string,
    certificates: Certificates,
    users: CacheUser[],
  ): Promise<Redis> {
    const port = await findFreePort();
    const configuration = join(directory, 'redis.conf');
    const lines = [
      'bind 127.0.0.1',
      'port 0',
      `tls-port ${port}`,
      'tls-auth-clients no',
      `tls-cert-file ${certificates.certificate}`,
      `tls-key-file ${certificates.key}`,
      `tls-ca-cert-file ${certificates.authority}`,
      'save ""',
      'appendonly no',
      `dir ${directory}`,
      ...users.map(({ name, accessString }) => `user ${name} nopass ${accessString}`),
      `user ${OBSERVER} on nopass ~* +@all`,
      'user default off',
    ];
    writeFileSync(configuration, `${lines.join('\n')}\n`);
    const redis = new Redis(redisServer, configuration, certificates.authority, port);
    await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    this.program = new Program('redis-server', this.redisServer, [this.configuration], {});
    await this.program.waitUntilReady(async () => {
      try {
        return (await this.send('PING')) === 'PONG';
      } catch {
        return false;
      }
    });
  }

  /** Ends Redis like a power failure. */
  async kill(): Promise<void> {
    await this.program?.stopAtOnce();
  }

  /** Sends a command and returns its reply. */
  async send(...command: string[]): Promise<unknown> {
    const redisCli = join(dirname(this.redisServer), 'redis-cli');
    const tls = ['--tls', '--cacert', this.authority, '-h', 'localhost', '-p', String(this.port)];
    const login = ['--user', OBSERVER, '--pass', 'any', '--no-auth-warning'];
    return JSON.parse(await run(redisCli, [...tls, ...login, '--json', ...command]));
  }
}
