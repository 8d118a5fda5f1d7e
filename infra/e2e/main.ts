// `make e2e`: deploys the stack onto MiniStack as it is deployed onto AWS, and uses it through its
// queues, event bus, schedules and HTTP API. IAM is enforced, all connections use TLS, and the
// functions and Redis are real. binaries.ts tells which functions run. docs/deploying.md lists what
// the emulator cannot show.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, saveLogs, startEnvironment, stopEnvironment } from './environment.ts';
import { runScenario } from './scenario.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-e2e-'));
let environment: Environment | undefined;
try {
  environment = await startEnvironment(directory);
  await runScenario(environment);
  await stopEnvironment(environment);
  rmSync(directory, { recursive: true, force: true });
  console.log('the end-to-end test passed');
  process.exit(0);
} catch (error) {
  console.error(error);
  if (environment !== undefined) {
    await saveLogs(environment);
  }
  console.error(`Files of the test, with the logs of MiniStack and of the functions: ${directory}`);
  process.exit(1);
}
