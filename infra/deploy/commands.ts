// The commands of `make deploy` and `make destroy`.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Settings, stages } from '../lib/settings.ts';
import { SettingsError } from '../lib/validation.ts';

const INFRA = join(import.meta.dirname, '..');

/** The outputs of a stack by name. */
export type Outputs = Record<string, string>;

/** Runs `cdk` with its output on the terminal. Throws an error if it fails. */
export type RunCdk = (args: string[]) => void;

export function runCdk(args: string[]): void {
  const program = join(INFRA, 'node_modules/aws-cdk/bin/cdk');
  execFileSync(process.execPath, [program, '--no-notices', ...args], { cwd: INFRA, stdio: 'inherit' });
}

export function settingsOfStage(stage: string | undefined): Settings {
  if (stage === undefined || !Object.hasOwn(stages, stage)) {
    throw new SettingsError(`STAGE=${stage ?? ''}`, Object.keys(stages).join(', '));
  }
  return stages[stage as keyof typeof stages];
}

export interface DeployOptions {
  stage: string | undefined;
  functions: string;
  ignoreAlarms: boolean;
  /** Takes over tables that an earlier deployment of the stage kept. */
  adoptsTables: boolean;
  /** What `cdk` asks about: `never`, `broadening` permissions or `any-change`. */
  approval: string;
  outputsFile: string;
}

/** Shows what changes, deploys it, and returns the outputs. */
export function deploy(options: DeployOptions, cdk: RunCdk = runCdk): Outputs {
  const { stage } = settingsOfStage(options.stage);
  const context = ['-c', `stage=${stage}`, '-c', `functions=${options.functions}`];
  const common = options.ignoreAlarms ? [...context, '-c', 'ignoreAlarms=true'] : context;
  mkdirSync(dirname(options.outputsFile), { recursive: true });
  cdk(['diff', ...common]);
  const adoption = options.adoptsTables ? ['--import-existing-resources'] : [];
  const approval = ['--require-approval', options.approval];
  cdk(['deploy', ...common, ...approval, ...adoption, '--outputs-file', options.outputsFile]);
  const all = JSON.parse(readFileSync(options.outputsFile, 'utf8')) as Record<string, Outputs>;
  return all[`millrace-${stage}`] ?? {};
}

export function destroy(stage: string | undefined, functions: string, cdk: RunCdk = runCdk): void {
  const settings = settingsOfStage(stage);
  cdk(['destroy', '-c', `stage=${settings.stage}`, '-c', `functions=${functions}`]);
  if (settings.keepData) {
    console.log('The tables, the queues and the key are kept: docs/deploying.md#removing');
  }
}

/** The outputs as lines, and the first command to try. */
export function summaryOf(outputs: Outputs): string {
  const names = Object.keys(outputs).toSorted();
  const width = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => `${name.padEnd(width)}  ${outputs[name]}`);
  return `${lines.join('\n')}\n\nSend a first command:\n\n${firstCommand(outputs['CommandsQueueUrl'] ?? '')}`;
}

function firstCommand(queueUrl: string): string {
  const command = {
    type: 'enqueueTasks',
    playerId: 'p-1',
    tasks: [{ taskId: 't-1', kind: 'hello', work: { durationMs: 1000 } }],
  };
  return [
    `aws sqs send-message --queue-url ${queueUrl} \\`,
    '  --message-group-id p-1 --message-deduplication-id first \\',
    `  --message-body '${JSON.stringify(command)}'`,
  ].join('\n');
}
