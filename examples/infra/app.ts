// The CDK app of the workers, run from the folder infra:
//
//   npx cdk deploy --app 'npx tsx ../examples/infra/app.ts' \
//     -c outputs=../target/deploy/production.json
//
//   -c outputs=FILE           the outputs of the Millrace stack, as `make deploy` writes them
//   -c functions=DIRECTORY    the built worker-rust; default: where `make functions` puts it

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { type MillraceOutputs, WorkersStack } from './workers-stack.ts';

const app = new App();
const file = app.node.tryGetContext('outputs') as string | undefined;
if (file === undefined) {
  throw new Error('name the outputs of the Millrace stack: -c outputs=FILE');
}
const stacks = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, MillraceOutputs>);
for (const [name, outputs] of stacks) {
  new WorkersStack(app, `${name}-workers`, {
    outputs,
    codeDirectory:
      (app.node.tryGetContext('functions') as string) ?? join(import.meta.dirname, '../../target/functions'),
  });
}
