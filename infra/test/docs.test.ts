// Commands in the documentation, as far as a reader would be harmed by following them to the letter.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { TABLE_NAMES } from '../lib/tables.ts';

const page = (name: string) => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');
/** Each place where a command is written, up to the end of its line, or of its quotation, or the next command. */
const commands = (text: string, begin: string): string[] =>
  [...text.replaceAll('\\\n', '').matchAll(new RegExp(`${begin}[^\\n\`;&]*`, 'g'))].map(([command]) => command);

test('whoever deploys or destroys says which stage', () => {
  const found = ['deploying.md', 'operations.md'].flatMap((name) =>
    commands(page(name), 'npx cdk (deploy|destroy|diff)'),
  );
  assert.ok(found.length >= 5, `only ${found.length} commands were found`);
  for (const command of found) {
    const stage = command.match(/-c stage=(\w+|\$stage)/)?.[1];
    assert.ok(stage === '$stage' || (stage !== undefined && stage in stages), command);
  }
  assert.ok(found.includes('npx cdk destroy -c stage=production'), 'how to remove production');
});

test('after a failed first deployment all tables are taken away, which are protected', () => {
  const text = page('deploying.md');
  const loop = text.match(/for table in (.*); do\n((?:  .*\n)+)done\n/);
  assert.equal(loop?.[1], TABLE_NAMES.join(' '));
  assert.deepEqual(
    [...(loop?.[2] ?? '').matchAll(/aws dynamodb (\S+)/g)].map(([, call]) => call),
    ['update-table', 'wait', 'delete-table'],
  );
  assert.match(text, /update-termination-protection --no-enable-termination-protection/);
});

test('commands do what they say with version 2 of the AWS CLI', () => {
  const text = page('operations.md') + page('deploying.md');
  const invocations = commands(text, 'aws lambda invoke');
  assert.ok(invocations.length >= 4, `only ${invocations.length} were found`);
  for (const command of invocations) {
    assert.match(
      command,
      /--cli-binary-format raw-in-base64-out --payload '\{.*\}' \/dev\/stdout/,
      'a payload is base64 otherwise',
    );
  }
  // A query answers with its id alone.
  const queries = [...text.matchAll(/aws logs start-query/g)].length;
  assert.ok(queries > 0);
  assert.equal([...text.matchAll(/aws logs get-query-results/g)].length, queries);
  // What is to be deleted by hand has to be kept from others for as long as a hand needs.
  const toDelete = text.match(/aws sqs receive-message[^\n]*\n(?=aws sqs send-message)/)?.[0];
  assert.match(toDelete ?? '', /--visibility-timeout 600 /);
});

test('whoever moves an alias by hand moves it back before the next deployment', () => {
  const [, rollingBack] = page('deploying.md').match(/## Rolling back\n([^#]*)/) ?? [];
  assert.match(rollingBack ?? '', /get-alias[^]*update-alias[^]*Before the next deployment move the alias/);
});
