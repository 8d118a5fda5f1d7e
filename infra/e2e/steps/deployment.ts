// Deploys, updates and destroys the stack.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Environment } from '../environment.ts';
import { HttpApi } from '../http-api.ts';
import { PREFIX, STACK_NAME, synthesize } from '../stack.ts';
import { step } from '../step.ts';
import type { Traffic } from '../traffic.ts';

/** The outputs of the stack that the test uses. */
const OUTPUT_NAMES = [
  'ApiUrl',
  'BusName',
  'CommandsQueueUrl',
  'ProgressQueueUrl',
  'TicksQueueUrl',
  'CommandsDeadLettersUrl',
  'ProgressDeadLettersUrl',
  'TicksDeadLettersUrl',
  'UndeliveredUrl',
  'EventsQueueUrl',
  'EventsDeadLettersUrl',
  'KeyArn',
] as const;

/** The environment with the deployed stack. */
export interface Deployed extends Environment {
  outputs: Record<(typeof OUTPUT_NAMES)[number], string>;
  http: HttpApi;
  /** The file to which `cdk deploy` wrote the outputs. */
  outputsFile: string;
}

export async function deployStack(environment: Environment, ...options: string[]): Promise<Deployed> {
  const { cdk, aws, assembly, directory, miniStack, certificates } = environment;
  const outputsFile = join(directory, 'outputs.json');
  await step('stack deployed', () => cdk.deploy(assembly, '--outputs-file', outputsFile, ...options));
  const all = (await aws.stackOutputs(STACK_NAME)) ?? {};
  const entries = OUTPUT_NAMES.map((name) => [name, all[name] ?? assert.fail(`the stack has no output ${name}`)]);
  const outputs = Object.fromEntries(entries) as Deployed['outputs'];
  const http = new HttpApi(miniStack.endpoint, certificates.authority, outputs.ApiUrl);
  return { ...environment, outputs, outputsFile, http };
}

/** Deploys other settings while players send commands. */
export async function updateStack(deployed: Deployed, traffic: Traffic): Promise<void> {
  const { aws, cdk, settings, directory, codeDirectory } = deployed;
  const functionName = `${PREFIX}process-tasks`;
  const versionBefore = await aws.liveVersion(functionName);
  const sentBefore = traffic.sent;
  const processTasks = { ...settings.functions['process-tasks'], memoryMiB: 768 };
  const changed = {
    ...settings,
    functions: { ...settings.functions, 'process-tasks': processTasks },
    environment: { MILLRACE_BATCH_CONCURRENCY: '4' },
  };
  await cdk.deploy(synthesize(join(directory, 'second'), codeDirectory, changed));
  assert.equal(await aws.liveVersion(functionName), versionBefore + 1, 'the alias names the new version');
  assert.ok(traffic.sent > sentBefore, 'players sent commands during the update');
}

export async function destroyStack({ aws, http, cdk, assembly }: Deployed): Promise<void> {
  await cdk.destroy(assembly);
  assert.equal(await aws.stackOutputs(STACK_NAME), undefined);
  assert.deepEqual(await aws.tableNames(), []);
  http.close();
}
