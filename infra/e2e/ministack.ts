// MiniStack, an emulator of AWS. It runs the functions as processes of this machine.

import { mkdirSync, readFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { findFreePort, findProcesses, Program } from './processes.ts';

export const REGION = 'us-east-1';
/** The account that MiniStack emulates. */
export const ACCOUNT = '000000000000';
/** The credentials of the administrator of the account. */
export const ADMINISTRATOR = { accessKeyId: 'test', secretAccessKey: 'test' };

export interface MiniStackOptions {
  /** Set: it listens with TLS and enforces IAM. */
  certificates?: Certificates;
  /** Every cache of a stack is the Redis server on this port. */
  redisPort?: number;
}

export class MiniStack {
  private constructor(
    private readonly program: Program,
    readonly endpoint: string,
  ) {}

  static async start(python: string, directory: string, options: MiniStackOptions = {}): Promise<MiniStack> {
    const { certificates, redisPort } = options;
    const port = await findFreePort();
    const endpoint = `${certificates === undefined ? 'http' : 'https'}://localhost:${port}`;
    mkdirSync(directory, { recursive: true });
    // The functions inherit this environment, so it has nothing of the environment of the test.
    const program = new Program('MiniStack', python, ['-m', 'ministack'], {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: directory,
      TMPDIR: directory,
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      MINISTACK_REGION: REGION,
      IOT_MTLS_ENABLED: '0',
      S3_DATA_DIR: join(directory, 's3'),
      STATE_DIR: join(directory, 'state'),
      AWS_ENDPOINT_URL: endpoint,
      ...(certificates !== undefined && {
        AUTH: 'true',
        USE_SSL: '1',
        MINISTACK_SSL_CERT: certificates.certificate,
        MINISTACK_SSL_KEY: certificates.key,
        // The functions trust the authority of this run, as they trust that of AWS.
        SSL_CERT_FILE: certificates.authority,
        NODE_EXTRA_CA_CERTS: certificates.authority,
      }),
      ...(redisPort !== undefined && { REDIS_HOST: 'localhost', REDIS_PORT: String(redisPort) }),
    });
    await program.waitUntilReady(() => isReady(`${endpoint}/_ministack/ready`, certificates));
    return new MiniStack(program, endpoint);
  }

  get log(): string {
    return this.program.log;
  }

  /** The processes that run a function. */
  processesOf(functionName: string): number[] {
    return findProcesses({ AWS_ENDPOINT_URL: this.endpoint, AWS_LAMBDA_FUNCTION_NAME: functionName });
  }

  async stop(): Promise<void> {
    await this.program.stop();
  }
}

function isReady(url: string, certificates: Certificates | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const request =
      certificates === undefined ? httpGet(url) : httpsGet(url, { ca: readFileSync(certificates.authority) });
    request.once('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('error', () => resolve(false));
  });
}
