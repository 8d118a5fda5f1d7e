// The shared cache over TLS, with the users of the stack. It restricts each user as ElastiCache
// does, but it accepts any token as the password, because only AWS can check tokens.
//
// Redis is the node of a replication group. Valkey in cluster mode is the serverless cache: one
// node that has all slots. It is built without TLS, so a proxy is in front of it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { findFreePort, Program, run, waitUntil } from './processes.ts';
import { TlsProxy } from './tls-proxy.ts';

/** A user of the cache, as the stack declares it. */
export interface CacheUser {
  name: string;
  accessString: string;
}

export interface RedisOptions {
  programs: { redisServer: string; valkeyServer: string };
  /** Directory of the files of the server. */
  directory: string;
  certificates: Certificates;
  users: CacheUser[];
  /** Functions connect to this port, with TLS. */
  port: number;
  isCluster: boolean;
}

/** The user of the test itself. */
const OBSERVER = 'observer';
const LAST_SLOT = '16383';

export class Redis {
  private program?: Program;
  private proxy?: TlsProxy;

  private constructor(
    private readonly options: RedisOptions,
    private readonly configuration: string,
  ) {}

  static async start(options: RedisOptions): Promise<Redis> {
    const { directory, users, isCluster } = options;
    mkdirSync(directory, { recursive: true });
    const innerPort = await findFreePort();
    const configuration = join(directory, 'redis.conf');
    const lines = [
      'bind 127.0.0.1',
      'save ""',
      'appendonly no',
      `dir ${directory}`,
      ...(isCluster ? await clusterLines(options.port, innerPort) : tlsLines(options)),
      ...users.map(({ name, accessString }) => `user ${name} nopass ${accessString}`),
      `user ${OBSERVER} on nopass ~* +@all`,
      'user default off',
    ];
    writeFileSync(configuration, `${lines.join('\n')}\n`);
    const redis = new Redis(options, configuration);
    if (isCluster) {
      redis.proxy = await TlsProxy.start(options.certificates, options.port, innerPort);
    }
    await redis.start();
    if (isCluster) {
      await redis.send('CLUSTER', 'ADDSLOTSRANGE', '0', LAST_SLOT);
    }
    await redis.waitForSlots();
    return redis;
  }

  /** Starts it again after it was killed. A cluster remembers its slots. */
  async restart(): Promise<void> {
    await this.start();
    await this.waitForSlots();
  }

  /** Ends it like a power failure. */
  async kill(): Promise<void> {
    await this.program?.stopAtOnce();
  }

  /** Ends it for good, so that its port is free. */
  async stop(): Promise<void> {
    await this.kill();
    this.proxy?.stop();
  }

  /** Sends a command and returns its reply. */
  async send(...command: string[]): Promise<unknown> {
    return JSON.parse(await this.ask(...command));
  }

  private async ask(...command: string[]): Promise<string> {
    const { programs, certificates, port } = this.options;
    const redisCli = join(dirname(programs.redisServer), 'redis-cli');
    const tls = ['--tls', '--cacert', certificates.authority, '-h', 'localhost', '-p', String(port)];
    const login = ['--user', OBSERVER, '--pass', 'any', '--no-auth-warning'];
    return run(redisCli, [...tls, ...login, '--json', ...command]);
  }

  private async start(): Promise<void> {
    const { redisServer, valkeyServer } = this.options.programs;
    const program = this.options.isCluster ? valkeyServer : redisServer;
    this.program = new Program('the shared cache', program, [this.configuration], {});
    await this.program.waitUntilReady(async () => {
      try {
        return (await this.send('PING')) === 'PONG';
      } catch {
        return false;
      }
    });
  }

  private async waitForSlots(): Promise<void> {
    if (this.options.isCluster) {
      const isOk = async () => (await this.ask('CLUSTER', 'INFO')).includes('cluster_state:ok');
      await waitUntil('the cluster has all slots', isOk);
    }
  }
}

function tlsLines({ port, certificates }: RedisOptions): string[] {
  return [
    'port 0',
    `tls-port ${port}`,
    'tls-auth-clients no',
    `tls-cert-file ${certificates.certificate}`,
    `tls-key-file ${certificates.key}`,
    `tls-ca-cert-file ${certificates.authority}`,
  ];
}

/** Clients learn the name and the port of the proxy, as those of ElastiCache learn its endpoint. */
async function clusterLines(port: number, innerPort: number): Promise<string[]> {
  return [
    `port ${innerPort}`,
    `cluster-port ${await findFreePort()}`,
    'cluster-enabled yes',
    'cluster-config-file nodes.conf',
    'cluster-announce-ip 127.0.0.1',
    `cluster-announce-port ${port}`,
    'cluster-announce-hostname localhost',
    'cluster-preferred-endpoint-type hostname',
  ];
}
