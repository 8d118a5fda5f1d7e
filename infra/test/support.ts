// Synthesized stacks for the tests, and helpers to look into their templates.

import { Template } from 'aws-cdk-lib/assertions';
import { createApp } from '../lib/app.ts';
import { adaptToMiniStack } from '../lib/emulator.ts';
import { createPlaceholderFunctions } from '../lib/placeholder-functions.ts';
import { NODE_CACHE, type Settings, stages } from '../lib/settings.ts';
import { MillraceStack, type MillraceStackProps } from '../lib/stack.ts';

export interface Resource {
  Type: string;
  // Templates have no types. A test fails on a property that is missing.
  Properties: any;
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
  UpdatePolicy?: object;
}

export interface IamStatement {
  Sid?: string;
  Effect: string;
  Action: string | string[];
  Resource: unknown;
  Principal?: object;
  Condition?: any;
}

/** A code directory with functions that do nothing. */
export const codeDirectory = createPlaceholderFunctions();

export function synthesizeStack(settings: Settings, props: Partial<MillraceStackProps> = {}): MillraceStack {
  return new MillraceStack(createApp({ checked: false }), { settings, codeDirectory, ...props });
}

export function synthesize(settings: Settings, props: Partial<MillraceStackProps> = {}): Template {
  return Template.fromStack(synthesizeStack(settings, props));
}

export function synthesizeForMiniStack(settings: Settings): Template {
  const stack = synthesizeStack(settings);
  adaptToMiniStack(stack);
  return Template.fromStack(stack);
}

/** Has a serverless cache. */
export const production = synthesize(stages.production);
/** Has no shared cache. */
export const dev = synthesize(stages.dev);
/** Advances queues without a ticks queue. */
export const devWithDirectTicks = synthesize({ ...stages.dev, ticks: 'direct' });
/** Production with a replication group. */
export const productionWithNodes = synthesize({ ...stages.production, cache: NODE_CACHE });

/** All resources by logical id. */
export function resourcesOf(template: Template): Record<string, Resource> {
  return template.toJSON()['Resources'] as Record<string, Resource>;
}

export function resourcesOfType(template: Template, type: string): Resource[] {
  return Object.values(resourcesOf(template)).filter((resource) => resource.Type === type);
}

/** The properties of all resources of a type. */
export function propertiesOfType(template: Template, type: string): any[] {
  return resourcesOfType(template, type).map(({ Properties }) => Properties);
}

/** The properties of the only resource of a type that has a value in a property. */
export function findProperties(template: Template, type: string, property: string, value: string): any {
  const found = propertiesOfType(template, type).filter((properties) => properties[property] === value);
  if (found.length !== 1) {
    throw new Error(`${found.length} resources of ${type} have ${property}=${value}`);
  }
  return found[0];
}

/** What is left of the logical id of a queue, such as `commands-dead-letters`. AWS names queues. */
function queueNameOf(id: string): string {
  const words = id.replace(/^MillraceQueues/, '').slice(0, -8);
  return words.replaceAll(/(?!^)([A-Z])/g, '-$1').toLowerCase();
}

/** The properties of a queue, such as `commands-dead-letters`. */
export function queueNamed(template: Template, name: string): any {
  const found = Object.entries(resourcesOf(template)).find(
    ([id, { Type }]) => Type === 'AWS::SQS::Queue' && queueNameOf(id) === name,
  );
  if (found === undefined) {
    throw new Error(`there is no queue ${name}`);
  }
  return found[1].Properties;
}

/** The name of the resource that an intrinsic function refers to. */
export function referencedName(template: Template, reference: unknown): string {
  const text = JSON.stringify(reference);
  const resources = resourcesOf(template);
  const words = [...text.matchAll(/"([A-Za-z0-9]+)"/g)].map(([, word]) => word ?? '');
  const id = words.find((word) => word in resources);
  if (id === undefined) {
    return text;
  }
  const { Type, Properties } = resources[id] as Resource;
  const { TableName, LogGroupName, FunctionName, Name } = Properties;
  const ownName = TableName ?? LogGroupName ?? FunctionName ?? Name ?? id;
  const name = Type === 'AWS::SQS::Queue' ? queueNameOf(id) : ownName;
  return text.includes('/index/') ? `${name}/index/${text.match(/index\/([a-z*]+)/)?.[1]}` : name;
}
