// Runs commands of the runbook, docs/operations.md, as an operator would.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ADMINISTRATOR, REGION } from './ministack.ts';
import { run } from './processes.ts';
import { ROOT } from './requirements.ts';
import { STAGE } from './stack.ts';

export class Runbook {
  private readonly text = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  private readonly programs: string;

  constructor(
    endpoint: string,
    /** Path of the certificate authority. */
    private readonly authority: string,
    /** The Python interpreter of the virtual environment of the AWS CLI. */
    awsCli: string,
    private readonly directory: string,
  ) {
    this.programs = join(directory, 'bin');
    mkdirSync(this.programs, { recursive: true });
    const aws = join(this.programs, 'aws');
    // For SQS, this version of the CLI ignores AWS_ENDPOINT_URL.
    writeFileSync(aws, `#!/bin/sh\nexec '${awsCli}' -m awscli --endpoint-url '${endpoint}' "$@"\n`);
    chmodSync(aws, 0o755);
  }

  /**
   * Runs the block of a section that contains a text, with the variables of the page. Returns its
   * output.
   */
  async run(section: string, text: string): Promise<string> {
    const variables = this.block('Before you start', 'stage=').replace('stage=production', `stage=${STAGE}`);
    const script = `set -eu\n${variables}\ncd '${this.directory}'\n${this.block(section, text)}`;
    return run('bash', ['-c', script], {
      PATH: [this.programs, process.env['PATH'] ?? ''].join(delimiter),
      HOME: this.directory,
      AWS_CA_BUNDLE: this.authority,
      AWS_REGION: REGION,
      AWS_DEFAULT_REGION: REGION,
      AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    });
  }

  /** Reads a file that a block has written. */
  readJson(name: string): unknown {
    return JSON.parse(readFileSync(join(this.directory, name), 'utf8'));
  }

  private block(section: string, text: string): string {
    const [, rest] = this.text.split(`\n## ${section}\n`);
    const body = rest?.split('\n## ')[0] ?? assert.fail(`the runbook has no section ${section}`);
    const blocks = [...body.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block = '']) => block);
    const found = blocks.filter((block) => block.includes(text));
    assert.equal(found.length, 1, `blocks of ${section} with ${text}`);
    return found[0] ?? '';
  }
}
