// `make deploy`, `make destroy` and `make release`: which functions are refused, what `cdk` is
// asked to do, and what is printed.

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { problemsOf, SOURCES_FILE } from '../deploy/check-functions.ts';
import { deploy, destroy, summaryOf } from '../deploy/commands.ts';
import { zipFunctions } from '../deploy/release.ts';
import { FUNCTION_NAMES, stages } from '../lib/settings.ts';
import { resourcesOfType, synthesize } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-deploy-'));
after(() => rmSync(root, { recursive: true, force: true }));

const ARM64 = 183;
const X86_64 = 62;

/** A file that begins like a program for a processor. */
function program(machine: number): Buffer {
  const file = Buffer.alloc(8192, 'x');
  file.write('\x7fELF', 'latin1');
  file.writeUInt16LE(machine, 18);
  return file;
}

function createFunctions(name: string, machine = ARM64): string {
  const directory = join(root, name);
  for (const fn of FUNCTION_NAMES) {
    mkdirSync(join(directory, fn), { recursive: true });
    writeFileSync(join(directory, fn, 'bootstrap'), program(machine));
  }
  writeFileSync(join(directory, SOURCES_FILE), 'abc\n');
  return directory;
}

test('functions that were built from these sources are accepted', () => {
  assert.deepEqual(
    problemsOf(createFunctions('fresh'), () => 'abc'),
    [],
  );
});

test('stale functions, and functions of unknown sources, are refused', () => {
  const directory = createFunctions('stale');
  assert.match(problemsOf(directory, () => 'def').join(), /were built from other sources: run `make functions`/);
  rmSync(join(directory, SOURCES_FILE));
  assert.match(problemsOf(directory, () => 'abc').join(), /built-from is missing/);
});

test('functions for another processor are refused, each by its path', () => {
  const problems = problemsOf(createFunctions('x86', X86_64), () => 'abc');
  assert.equal(problems.length, FUNCTION_NAMES.length);
  assert.match(problems[0] ?? '', /process-tasks\/bootstrap is not built for arm64: run `make functions`/);
});

test('missing and empty functions are refused', () => {
  const directory = createFunctions('broken');
  rmSync(join(directory, 'queue-api'), { recursive: true });
  writeFileSync(join(directory, 'maintain-cache/bootstrap'), '');
  const [first, second] = problemsOf(directory, () => 'abc');
  assert.match(first ?? '', /queue-api\/bootstrap and .*queue-api.zip are missing/);
  assert.match(second ?? '', /maintain-cache\/bootstrap has no program for Linux/);
});

test('the zips of a release are accepted without the sources, unless one was changed', () => {
  const release = join(root, 'release');
  zipFunctions(createFunctions('built'), release);
  const neverCalled = () => assert.fail('a release is not compared with the sources');
  assert.deepEqual(problemsOf(release, neverCalled), []);
  appendFileSync(join(release, 'queue-api.zip'), 'x');
  assert.match(problemsOf(release, neverCalled).join(), /queue-api.zip is not the one of the release/);
});

test('the zips of a release for another processor are refused', () => {
  const release = join(root, 'release-x86');
  zipFunctions(createFunctions('built-x86', X86_64), release);
  assert.match(problemsOf(release).join(), /process-tasks.zip is not built for arm64/);
});

test('equal functions make equal zips, which the stack takes as they are', () => {
  const [one, other] = [join(root, 'one'), join(root, 'other')];
  zipFunctions(createFunctions('built-once'), one);
  zipFunctions(createFunctions('built-again'), other);
  const keysOf = (codeDirectory: string) =>
    resourcesOfType(synthesize(stages.dev, { codeDirectory }), 'AWS::Lambda::Function').map(
      ({ Properties }) => Properties.Code.S3Key as string,
    );
  assert.deepEqual(keysOf(one), keysOf(other));
  assert.ok(keysOf(one).every((key) => key.endsWith('.zip')));
});

test('a deployment shows the differences before it deploys, and returns the outputs', () => {
  const outputsFile = join(root, 'outputs/dev.json');
  const calls: string[] = [];
  const outputs = deploy(
    { stage: 'dev', functions: '/built', ignoreAlarms: true, adoptsTables: true, approval: 'never', outputsFile },
    (args) => {
      calls.push(args.join(' '));
      writeFileSync(outputsFile, JSON.stringify({ 'millrace-dev': { ApiUrl: 'https://api.example' } }));
    },
  );
  const context = '-c stage=dev -c functions=/built -c ignoreAlarms=true';
  assert.deepEqual(calls, [
    `diff ${context}`,
    `deploy ${context} --require-approval never --import-existing-resources --outputs-file ${outputsFile}`,
  ]);
  assert.deepEqual(outputs, { ApiUrl: 'https://api.example' });
});

test('a stage must be named, and exist', () => {
  for (const stage of [undefined, 'staging', 'toString']) {
    assert.throws(
      () => destroy(stage, '/built', () => assert.fail()),
      /STAGE=\w* is not allowed; allowed: dev, production/,
    );
  }
});

test('only the named stage is destroyed', () => {
  const calls: string[][] = [];
  destroy('dev', '/built', (args) => calls.push(args));
  assert.deepEqual(calls, [['destroy', '-c', 'stage=dev', '-c', 'functions=/built']]);
});

test('the summary has the outputs and a first command for the queue', () => {
  const text = summaryOf({ TablePrefix: 'millrace-dev-', CommandsQueueUrl: 'https://sqs.example/1/commands.fifo' });
  assert.match(text, /^CommandsQueueUrl {2}https:\/\/sqs.example\/1\/commands.fifo\nTablePrefix {7}millrace-dev-\n/);
  assert.match(text, /aws sqs send-message --queue-url https:\/\/sqs.example\/1\/commands.fifo \\\n/);
});
