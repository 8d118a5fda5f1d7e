// The entry point of `cdk`, for example `npx cdk deploy -c stage=production`.
//
//   -c stage=dev|production    the settings of this stage (lib/settings.ts); default: dev
//   -c functions=DIRECTORY     the built functions; default: where `make functions` puts them
//   -c ignoreAlarms=true       deploys although an alarm is active, to fix the cause of the alarm

import { join } from 'node:path';
import { createApp } from '../lib/app.ts';
import { readOptions } from '../lib/options.ts';
import { MillraceStack } from '../lib/stack.ts';

const app = createApp();
const { settings, codeDirectory, ignoreAlarms } = readOptions((name) => app.node.tryGetContext(name) as unknown);

new MillraceStack(app, {
  settings,
  codeDirectory: codeDirectory ?? join(import.meta.dirname, '../../target/functions'),
  ignoreAlarms,
});
