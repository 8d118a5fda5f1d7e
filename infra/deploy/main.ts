// `make deploy STAGE=dev` and `make destroy STAGE=dev`. The Makefile builds the functions before.
//
//   STAGE            the stage (lib/settings.ts)
//   RELEASE          the directory of released functions; default: what `make functions` builds
//   APPROVAL         what to ask about: never, broadening or any-change; default: broadening
//   IGNORE_ALARMS=1  deploys although an alarm is active
//   ADOPT=1          takes over the tables that an earlier deployment of the stage kept

import { join, resolve } from 'node:path';
import { createPlaceholderFunctions } from '../lib/placeholder-functions.ts';
import { problemsOf } from './check-functions.ts';
import { deploy, destroy, summaryOf } from './commands.ts';

const ROOT = join(import.meta.dirname, '../..');
const { STAGE, RELEASE, APPROVAL = 'broadening', IGNORE_ALARMS, ADOPT } = process.env;

function main(action: string | undefined): void {
  if (action === 'destroy') {
    // What is deployed decides what is removed, not the functions of this synthesis.
    destroy(STAGE, createPlaceholderFunctions());
    return;
  }
  // Paths are as the caller of make sees them.
  const functions = RELEASE === undefined ? join(ROOT, 'target/functions') : resolve(ROOT, RELEASE);
  const problems = problemsOf(functions);
  if (problems.length > 0) {
    throw new Error(problems.join('\n'));
  }
  const outputs = deploy({
    stage: STAGE,
    functions,
    ignoreAlarms: IGNORE_ALARMS === '1',
    adoptsTables: ADOPT === '1',
    approval: APPROVAL,
    outputsFile: join(ROOT, `target/deploy/${STAGE}.json`),
  });
  console.log(`\n${summaryOf(outputs)}`);
}

try {
  main(process.argv[2]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
