// The documentation: commands that would do harm if they were incomplete, and files that it names.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { TABLE_NAMES } from '../lib/tables.ts';

const ROOT = join(import.meta.dirname, '../..');

function readPage(name: string): string {
  return readFileSync(join(ROOT, 'docs', name), 'utf8');
}

/**
 * All commands that begin with an expression. A command ends with its line, its quotation, or `;`
 * or `&`.
 */
function findCommands(text: string, start: string): string[] {
  const pattern = new RegExp(`${start}[^\\n\`;&]*`, 'g');
  return [...text.replaceAll(/\\\n */g, '').matchAll(pattern)].map(([command]) => command);
}

test('commands that deploy or destroy name the stage', () => {
  const pages = ['deploying.md', 'operations.md'].map(readPage);
  const commands = pages.flatMap((page) => findCommands(page, 'make (deploy|destroy) [A-Z]'));
  assert.ok(commands.length >= 5, `only ${commands.length} commands were found`);
  for (const command of commands) {
    const stage = command.match(/ STAGE=(\w+|\$stage)/)?.[1];
    assert.ok(stage === '$stage' || (stage !== undefined && stage in stages), command);
  }
  assert.ok(commands.includes('make destroy STAGE=production'), 'the command that removes production');
});

test('the cleanup after a failed first deployment removes all protected tables', () => {
  const text = readPage('deploying.md');
  const [, tables, body] = text.match(/for table in (.*); do\n((?:  .*\n)+)done\n/) ?? [];
  assert.equal(tables, TABLE_NAMES.join(' '));
  assert.deepEqual(
    [...(body ?? '').matchAll(/aws dynamodb (\S+)/g)].map(([, call]) => call),
    ['update-table', 'wait', 'delete-table'],
  );
  assert.match(text, /update-termination-protection --no-enable-termination-protection/);
});

test('version 2 of the AWS CLI passes the payloads of invocations as they are', () => {
  const commands = findCommands(readPage('operations.md') + readPage('deploying.md'), 'aws lambda invoke');
  assert.ok(commands.length >= 4, `only ${commands.length} were found`);
  for (const command of commands) {
    // The default is a payload in base64, except from a file that is named with fileb://.
    assert.match(command, /--cli-binary-format raw-in-base64-out --payload '\{.*\}' \/dev\/stdout|--payload fileb:/);
  }
});

test('every query of logs is followed by a command that reads its results', () => {
  const text = readPage('operations.md') + readPage('deploying.md');
  const queries = findCommands(text, 'aws logs start-query').length;
  assert.ok(queries > 0);
  assert.equal(findCommands(text, 'aws logs get-query-results').length, queries);
});

test('a message that is sent again by hand stays invisible for ten minutes', () => {
  const blocks = [...readPage('operations.md').matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  const deleting = blocks.filter((block) => block.includes('aws sqs delete-message'));
  assert.equal(deleting.length, 2);
  for (const block of deleting) {
    assert.match(block, /aws sqs receive-message --queue-url \$\w+ --visibility-timeout 600 /);
  }
});

test('an alias that was moved by hand is moved back before the next deployment', () => {
  const [, rollingBack] = readPage('deploying.md').match(/## Rolling back\n([^#]*)/) ?? [];
  assert.match(rollingBack ?? '', /get-alias[^]*update-alias[^]*Before the next deployment move the alias/);
});

test('the work in docs/workers.md is the work of the example', () => {
  const [, snippet = ''] = readPage('workers.md').match(/```ts\n(.*?)```/s) ?? [];
  assert.ok(snippet.length > 100);
  assert.ok(readFileSync(join(ROOT, 'examples/worker-typescript/handler.ts'), 'utf8').includes(snippet));
});

test('files that the documentation names exist', () => {
  const pages = ['.', 'docs', 'docs/decisions', 'docs/schemas', 'events'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  );
  const named = pages.flatMap((page) => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => join(dirname(page), link ?? ''));
    const paths = [...text.matchAll(/`((?:docs|events|examples|functions|infra|shared|tests)\/[\w./-]+\.\w+)`/g)];
    return [...links, ...paths.map(([, path]) => path ?? '')].map((file) => ({ page, file }));
  });
  assert.ok(named.length > 100, `only ${named.length} were found`);
  const missing = named.filter(({ file }) => !existsSync(join(ROOT, file)) && !file.includes('NNN'));
  assert.deepEqual(missing, []);
});
