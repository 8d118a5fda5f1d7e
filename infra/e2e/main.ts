// `make e2e`: deploys the stack onto MiniStack as it is deployed onto AWS, and uses it through its
// queues, event bus, schedules and HTTP API. IAM is enforced, all connections use TLS, and the
// functions and the caches are real. binaries.ts tells which functions run. docs/deploying.md lists
// what the emulator cannot show.
//
// The long scenario runs with the cache of production. A short one runs with each other kind. In
// the last one, a stack that keeps its data is destroyed and deployed again.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareStack, saveLogs, type Servers, startServers, stopServers } from './environment.ts';
import { runKeptDataScenario } from './kept-data-scenario.ts';
import { runScenario } from './scenario.ts';
import { runShortScenario } from './short-scenario.ts';
import { step } from './step.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-e2e-'));
let servers: Servers | undefined;
try {
  servers = await startServers(directory);
  const environment = await prepareStack(servers, 'serverless');
  await step('account bootstrapped', () => environment.cdk.bootstrap(environment.assembly));
  await runScenario(environment);
  await environment.redis?.stop();
  for (const kind of ['none', 'nodes'] as const) {
    console.log(`a stack with the cache \`${kind}\``);
    const other = await prepareStack(servers, kind);
    await runShortScenario(other);
    await other.redis?.stop();
  }
  console.log('a stack that keeps its data');
  await runKeptDataScenario(servers);
  await stopServers(servers);
  rmSync(directory, { recursive: true, force: true });
  console.log('the end-to-end test passed');
  process.exit(0);
} catch (error) {
  console.error(error);
  if (servers !== undefined) {
    await saveLogs(servers);
  }
  console.error(`Files of the test, with the logs of MiniStack and of the functions: ${directory}`);
  process.exit(1);
}
