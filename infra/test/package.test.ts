// The npm package, installed into an empty CDK app in another directory. It needs the registry of
// npm, so it is not one of the other tests: `npm run test:package`.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createPlaceholderFunctions } from '../lib/placeholder-functions.ts';
import { buildPackage, PACKAGE_NAME } from '../package/build.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-package-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const INFRA = join(import.meta.dirname, '..');

const APP = `
import { App, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Millrace, type MillraceProps } from '${PACKAGE_NAME}';

const app = new App();
const stack = new Stack(app, 'Game');
const props: MillraceProps = {
  codeDirectory: process.env['FUNCTIONS'] ?? '',
  stage: 'game',
  cache: { kind: 'serverless', engineVersion: '8' },
  alarms: { warnings: [{ email: 'you@example.com' }] },
};
const queues = new Millrace(stack, 'Queues', props);
const server = new iam.Role(stack, 'Server', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
queues.grantSendCommands(server);
app.synth();
`;

const { devDependencies } = JSON.parse(readFileSync(join(INFRA, 'package.json'), 'utf8')) as {
  devDependencies: Record<string, string>;
};

function run(command: string, args: string[], environment: Record<string, string> = {}): void {
  execFileSync(command, args, { cwd: directory, env: { ...process.env, ...environment }, stdio: 'pipe' });
}

test('the package installs into an empty app, whose synthesis has the deployment', () => {
  const archive = buildPackage(join(directory, 'built'));
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  const peers = ['aws-cdk-lib', 'constructs', 'typescript', '@types/node'];
  const packages = peers.map((name) => `${name}@${devDependencies[name]}`);
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', archive, ...packages]);

  writeFileSync(join(directory, 'app.ts'), APP);
  const options = ['--module', 'nodenext', '--target', 'es2023', '--strict', '--types', 'node', 'app.ts'];
  run(process.execPath, ['node_modules/typescript/bin/tsc', ...options]);
  run(process.execPath, ['app.js'], { CDK_OUTDIR: join(directory, 'out'), FUNCTIONS: createPlaceholderFunctions() });

  const template = JSON.parse(readFileSync(join(directory, 'out/Game.template.json'), 'utf8')) as {
    Resources: Record<string, { Type: string }>;
  };
  const count = (type: string) => Object.values(template.Resources).filter(({ Type }) => Type === type).length;
  assert.equal(count('AWS::DynamoDB::Table'), 6);
  assert.equal(count('AWS::ElastiCache::ServerlessCache'), 1);
  assert.equal(count('AWS::Lambda::Function') >= 4, true);
  const installed = readdirSync(join(directory, 'node_modules', PACKAGE_NAME)).toSorted();
  assert.deepEqual(installed, ['LICENSE', 'README.md', 'infra', 'package.json', 'shared']);
});
