// Stacks to look at. Nothing is built and nobody is asked: functions are an empty file each.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { createApp } from '../lib/app.ts';
import { adaptToMiniStack } from '../lib/emulator.ts';
import { FUNCTION_NAMES, type Settings, stages } from '../lib/settings.ts';
import { MillraceStack, type MillraceStackProps } from '../lib/stack.ts';

export interface Resource {
  Type: string;
  // What a template holds is looked at piece by piece, and a piece that is not there fails the test.
  Properties: any;
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
  UpdatePolicy?: object;
}
export type Resources = Record<string, Resource>;

const directory = mkdtempSync(join(tmpdir(), 'millrace-infra-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

/** Where functions are that do nothing. */
export const CODE = join(directory, 'functions');
for (const name of FUNCTION_NAMES) {
  mkdirSync(join(CODE, name), { recursive: true });
  writeFileSync(join(CODE, name, 'bootstrap'), name);
}

export function stack(settings: Settings, adapt = false, props: Partial<MillraceStackProps> = {}): MillraceStack {
  const stack = new MillraceStack(createApp({ checked: false }), { settings, codeDirectory: CODE, ...props });
  if (adapt) {
    adaptToMiniStack(stack);
  }
  return stack;
}

export function template(settings: Settings, adapt = false, props: Partial<MillraceStackProps> = {}): Template {
  return Template.fromStack(stack(settings, adapt, props));
}

export const production = template(stages.production);
export const dev = template(stages.dev);

export function resources(template: Template): Resources {
  return template.toJSON()['Resources'] as Resources;
}

/** All of a type. */
export function all(template: Template, type: string): Resource[] {
  return Object.values(resources(template)).filter(({ Type }) => Type === type);
}

/** The one of a type whose properties have this value. */
export function one(template: Template, type: string, property: string, value: string): Resource {
  const found = all(template, type).filter(({ Properties }) => Properties[property] === value);
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`${found.length} of ${type} have ${property}=${value}`);
  }
  return found[0];
}

/** The name of what a reference leads to. */
export function target(template: Template, reference: unknown): string {
  const text = JSON.stringify(reference);
  const known = resources(template);
  const id = [...text.matchAll(/"([A-Za-z0-9]+)"/g)].map(([, word]) => word ?? '').find((word) => word in known);
  if (id === undefined) {
    return text;
  }
  const { Properties } = known[id] as Resource;
  const name = Properties.TableName ?? Properties.QueueName ?? Properties.LogGroupName ?? Properties.FunctionName ?? id;
  return text.includes('/index/') ? `${name}/index/${text.match(/index\/([a-z*]+)/)?.[1]}` : name;
}
