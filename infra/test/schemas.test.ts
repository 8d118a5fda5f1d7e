// docs/schemas/asyncapi.yaml and docs/openapi.yaml, and the JSON Schemas that they refer to. Tests
// in Rust compare the JSON Schemas with the parser and with published events.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import asyncApiSpecs from '@asyncapi/specs';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { compileFromFile } from 'json-schema-to-typescript';
import ts from 'typescript';
import { parse } from 'yaml';
import { EVENT_TYPES, stages } from '../lib/settings.ts';
import { findProperties, queueNamed, synthesize } from './support.ts';

const DOCS = join(import.meta.dirname, '../../docs');
const SCHEMAS = join(DOCS, 'schemas');
const OPENAPI = join(DOCS, 'openapi.yaml');
const ASYNCAPI = join(SCHEMAS, 'asyncapi.yaml');

// The documents have no types. A test fails on a property that is missing.
type Document = any;

const documents = new Map<string, Document>();

/** A YAML or JSON file. JSON is YAML. */
function load(path: string): Document {
  const document = documents.get(path) ?? parse(readFileSync(path, 'utf8'));
  documents.set(path, document);
  return document;
}

/** What a reference in a file refers to, and the file of that. */
function resolve(path: string, reference: string): { path: string; target: Document } {
  const [file = '', pointer = ''] = reference.split('#');
  const other = file === '' ? path : join(dirname(path), file);
  const names = pointer.split('/').slice(1);
  const target = names.reduce((part, name) => part?.[name.replaceAll('~1', '/')], load(other));
  assert.notEqual(target, undefined, `${path} refers to ${reference}`);
  return { path: other, target };
}

function referencesIn(part: Document): string[] {
  if (typeof part !== 'object' || part === null) {
    return [];
  }
  return '$ref' in part ? [part.$ref] : Object.values(part).flatMap(referencesIn);
}

/** A value in a file, with what its references refer to in their place and without descriptions. */
function expand(path: string, part: Document): Document {
  if (Array.isArray(part)) {
    return part.map((item) => expand(path, item));
  }
  if (typeof part !== 'object' || part === null) {
    return part;
  }
  if (typeof part.$ref === 'string') {
    const { path: other, target } = resolve(path, part.$ref);
    return expand(other, target);
  }
  const fields = Object.entries(part).filter(([name, value]) => name !== 'description' || typeof value !== 'string');
  return Object.fromEntries(fields.map(([name, value]) => [name, expand(path, value)]));
}

/** A validator of JSON Schemas in this folder, and of the schemas in the AsyncAPI document. */
function createValidator(): Ajv2020 {
  // The tests in Rust check formats.
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  for (const name of readdirSync(SCHEMAS).filter((file) => file.endsWith('.json'))) {
    ajv.addSchema(load(join(SCHEMAS, name)), `file:///${name}`);
  }
  ajv.addSchema({ components: load(ASYNCAPI).components }, 'file:///asyncapi.yaml');
  return ajv;
}

test('the AsyncAPI document is valid', () => {
  // The schema brings its own copy of the meta-schema.
  const ajv = new Ajv({ strict: false, validateFormats: false, meta: false, validateSchema: false });
  const validate = ajv.compile((asyncApiSpecs as Document).schemas['3.0.0']);
  assert.ok(validate(load(ASYNCAPI)), JSON.stringify(validate.errors, undefined, 2));
  const { operations, ...rest } = load(ASYNCAPI);
  assert.ok(!validate({ ...rest, operations: { ...operations, broken: { action: 'listen' } } }));
});

test('all references of the AsyncAPI and OpenAPI documents have a target', () => {
  for (const path of [ASYNCAPI, OPENAPI]) {
    const references = new Set(referencesIn(load(path)));
    assert.ok(references.size > 20, `${references.size} references`);
    for (const reference of references) {
      resolve(path, reference);
    }
  }
});

test('each operation has messages of its channel, and each message has an operation', () => {
  const { channels, operations } = load(ASYNCAPI);
  const used = Object.values(operations as Document[]).flatMap(({ channel, messages }) => {
    const references: string[] = messages.map(({ $ref }: { $ref: string }) => $ref);
    assert.ok(
      references.length > 0 && references.every((name) => name.startsWith(`${channel.$ref}/messages/`)),
      channel.$ref,
    );
    return references;
  });
  const declared = Object.entries(channels as Record<string, Document>).flatMap(([name, { messages }]) =>
    Object.keys(messages).map((message) => `#/channels/${name}/messages/${message}`),
  );
  assert.deepEqual([...new Set(used)].toSorted(), declared.toSorted());
});

test('the channels are the queues and the bus of the stack', () => {
  const template = synthesize({ ...stages.dev, events: { ...stages.dev.events, queue: true } });
  const channels = load(ASYNCAPI).channels as Record<string, Document>;
  assert.deepEqual(Object.keys(channels).toSorted(), ['bus', 'commands', 'events', 'progress', 'ticks']);
  for (const [name, { address, bindings }] of Object.entries(channels)) {
    if (bindings === undefined) {
      findProperties(template, 'AWS::Events::EventBus', 'Name', address.replace('{stage}', 'dev'));
      continue;
    }
    const { queue } = bindings.sqs;
    const properties = queueNamed(template, name);
    assert.equal(queue.name, address);
    assert.equal(address, properties.FifoQueue === true ? '{queue}.fifo' : '{queue}');
    assert.equal(queue.fifoQueue, properties.FifoQueue === true, name);
    assert.equal(queue.deduplicationScope, properties.DeduplicationScope, name);
    assert.equal(queue.fifoThroughputLimit, properties.FifoThroughputLimit, name);
  }
});

test('the examples of all messages are valid, and others are not', () => {
  const ajv = createValidator();
  for (const [name, { payload, headers, examples }] of Object.entries(
    load(ASYNCAPI).components.messages as Record<string, Document>,
  )) {
    const pointer = payload.schema.$ref.startsWith('#') ? `asyncapi.yaml${payload.schema.$ref}` : payload.schema.$ref;
    const validate = ajv.compile({ $ref: `file:///${pointer}` });
    const validateHeaders = ajv.compile(headers ?? true);
    assert.ok(examples.length > 0);
    for (const example of examples) {
      assert.ok(validate(example.payload), `${name}: ${JSON.stringify(validate.errors)}`);
      assert.ok(validateHeaders(example.headers ?? {}), name);
      assert.ok(!validate({ ...example.payload, 'type': 'unknown', 'detail-type': 'unknown' }), name);
    }
  }
});

test('sample payloads from EventBridge are as the AsyncAPI document describes them', () => {
  const validate = createValidator().compile({ $ref: 'file:///asyncapi.yaml#/components/schemas/CommandOnBus' });
  const folder = join(DOCS, '../events');
  const payloads = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => load(join(folder, name)))
    .filter((payload) => 'detail-type' in payload);
  assert.ok(payloads.length > 0);
  for (const payload of payloads) {
    assert.ok(validate(payload), JSON.stringify(validate.errors));
  }
});

test('all types of events are detail types', () => {
  const { EventOnBus } = load(ASYNCAPI).components.schemas;
  assert.deepEqual(EventOnBus.properties['detail-type'].enum.toSorted(), [...EVENT_TYPES].toSorted());
});

test('commands over HTTP are the commands of the schema, except that they may leave out the player', () => {
  const path = join(SCHEMAS, 'command.json');
  const commands: Document[] = load(path).$defs.Command.oneOf.map((command: Document) => expand(path, command));
  const overHttp: Document[] = expand(OPENAPI, load(OPENAPI).components.schemas.Command).oneOf;
  for (const { required, properties, ...command } of commands) {
    const { const: type } = properties.type;
    const same = overHttp.find(({ properties: { type: own } }) => own.const === type || own.enum?.includes(type));
    assert.deepEqual(same, {
      ...command,
      required: required.filter((name: string) => name !== 'playerId'),
      properties: {
        ...properties,
        type: same.properties.type,
        playerId: { anyOf: [properties.playerId, { type: 'null' }] },
      },
    });
  }
  const types = overHttp.flatMap(({ properties: { type } }) => type.enum ?? [type.const]);
  assert.equal(types.length, commands.length);
});

/** The errors of TypeScript in a program that uses the types that were made from the schemas. */
function checkTypes(folder: string, source: string): string[] {
  const file = join(folder, 'client.ts');
  writeFileSync(file, source);
  const program = ts.createProgram([file], { strict: true, noEmit: true, skipLibCheck: true, types: [] });
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

test('types for TypeScript can be made from the schemas, and tell events apart by their type', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-types-'));
  try {
    for (const name of ['command', 'event', 'answer']) {
      const types = await compileFromFile(join(SCHEMAS, `${name}.json`), { cwd: SCHEMAS, ignoreMinAndMaxItems: true });
      writeFileSync(join(folder, `${name}.d.ts`), types);
    }
    const client = (field: string) => `
      import type { Command } from './command';
      import type { Event } from './event';
      import type { ProcessTasksAnswer } from './answer';
      export function failureOf(event: Event): string | undefined {
        return event.type === 'taskFailed' ? event.${field} : undefined;
      }
      export const heartbeat: Command = { type: 'reportProgress', playerId: 'p', taskId: 't', unitsDone: 1, attempt: 1 };
      export const isDone = ({ batchItemFailures }: ProcessTasksAnswer) => batchItemFailures.length === 0;`;
    assert.deepEqual(checkTypes(folder, client('reason')), []);
    const [error] = checkTypes(folder, client('percent'));
    assert.match(error ?? '', /'percent' does not exist on type 'TaskFailed'/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
