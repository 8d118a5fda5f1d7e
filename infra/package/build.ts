// `npm run package`: builds the npm package with the construct into target/npm, and packs it there.
// The functions are not part of it: a release has them, or `make functions` builds them.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Package {
  version: string;
  license: string;
  engines: Record<string, string>;
  devDependencies: Record<string, string>;
}

const INFRA = join(import.meta.dirname, '..');
const ROOT = join(INFRA, '..');
export const PACKAGE_NAME = 'millrace-cdk';

/** Files that are copied, by their paths in the repository. */
const COPIED = ['LICENSE', 'shared/telemetry/metrics.json'];

/** Builds the package into a directory, and returns the path of the archive. */
export function buildPackage(directory = join(ROOT, 'target/npm')): string {
  rmSync(directory, { recursive: true, force: true });
  const compiler = join(INFRA, 'node_modules/typescript/bin/tsc');
  const project = join(import.meta.dirname, 'tsconfig.json');
  execFileSync(process.execPath, [compiler, '--project', project, '--outDir', directory], { stdio: 'inherit' });
  for (const file of COPIED) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    copyFileSync(join(ROOT, file), join(directory, file));
  }
  copyFileSync(join(import.meta.dirname, 'README.md'), join(directory, 'README.md'));
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest(), undefined, 2));
  const packed = execFileSync('npm', ['pack', '--json'], { cwd: directory, encoding: 'utf8' });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  return join(directory, filename);
}

function manifest(): object {
  const { version, license, engines, devDependencies } = JSON.parse(
    readFileSync(join(INFRA, 'package.json'), 'utf8'),
  ) as Package;
  // The CDK refuses constructs of another copy of itself, so the app brings it.
  const peer = (name: string) => [name, `^${devDependencies[name]}`];
  return {
    name: PACKAGE_NAME,
    version,
    description: 'Serverless task queues on AWS, one for each player, as a CDK construct',
    license,
    engines,
    type: 'module',
    exports: { '.': { types: './infra/lib/index.d.ts', default: './infra/lib/index.js' } },
    types: './infra/lib/index.d.ts',
    files: ['infra', 'shared'],
    keywords: ['aws-cdk', 'queue', 'serverless', 'games'],
    peerDependencies: Object.fromEntries(['aws-cdk-lib', 'constructs'].map(peer)),
  };
}

if (process.argv[1] === import.meta.filename) {
  console.log(buildPackage());
}
