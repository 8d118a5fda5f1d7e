// The `cdk` command, as the administrator of the emulated account.

import { join } from 'node:path';
import { ACCOUNT, ADMINISTRATOR, REGION } from './ministack.ts';
import { run } from './processes.ts';

export class Cdk {
  constructor(
    private readonly endpoint: string,
    /** Path of the certificate authority. */
    private readonly authority: string,
    private readonly home: string,
    private readonly stack: string,
  ) {}

  /** The same commands for another stack. */
  forStack(stack: string): Cdk {
    return new Cdk(this.endpoint, this.authority, this.home, stack);
  }

  async bootstrap(assembly: string): Promise<void> {
    await this.cdk(['bootstrap', `aws://${ACCOUNT}/${REGION}`, '--app', assembly]);
  }

  /** `app` is a synthesized app, or a command that synthesizes it. */
  async deploy(app: string, ...options: string[]): Promise<void> {
    const common = ['--require-approval', 'never', '--progress', 'events'];
    await this.cdk(['deploy', this.stack, '--app', app, ...common, ...options]);
  }

  async destroy(app: string, ...options: string[]): Promise<void> {
    await this.cdk(['destroy', this.stack, '--app', app, '--force', ...options]);
  }

  private async cdk(args: string[]): Promise<void> {
    const program = join(import.meta.dirname, '../node_modules/aws-cdk/bin/cdk');
    await run(process.execPath, [program, '--no-notices', '--no-version-reporting', ...args], {
      PATH: process.env['PATH'] ?? '',
      HOME: this.home,
      AWS_ENDPOINT_URL: this.endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
      NODE_NO_WARNINGS: '1',
      NODE_EXTRA_CA_CERTS: this.authority,
      CDK_DISABLE_CLI_TELEMETRY: 'true',
    });
  }
}
