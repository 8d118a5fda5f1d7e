// What `cdk` runs: `npx cdk deploy -c stage=production`.
//
//   -c stage=dev|production    which settings (lib/settings.ts); dev if left out
//   -c functions=DIRECTORY     where the functions are; as `make functions` leaves them, if left out
//   -c ignoreAlarms=true       new versions take over though an alarm rings; for the version that mends what it rings for

import { join } from 'node:path';
import { createApp } from '../lib/app.ts';
import { optionsFrom } from '../lib/options.ts';
import { MillraceStack } from '../lib/stack.ts';

const app = createApp();
const { settings, codeDirectory, ignoreAlarms } = optionsFrom((name) => app.node.tryGetContext(name) as unknown);

new MillraceStack(app, {
  settings,
  codeDirectory: codeDirectory ?? join(import.meta.dirname, '../../target/functions'),
  ignoreAlarms,
});
