// What `cdk` runs: `npx cdk deploy -c stage=production`.
//
//   -c stage=dev|production    which settings (lib/settings.ts); dev if left out
//   -c functions=DIRECTORY     where the functions are; as `make functions` leaves them, if left out
//   -c issuer=URL -c audience=A,B    who issues the tokens of players; requests are signed (IAM) if left out
//   -c email=ADDRESS           who is written to by alarms

import { join } from 'node:path';
import { createApp } from '../lib/app.ts';
import { type Settings, SettingsError, stages } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';

const app = createApp();
const context = (name: string): string | undefined => app.node.tryGetContext(name) as string | undefined;

const stage = context('stage') ?? 'dev';
if (!Object.hasOwn(stages, stage)) {
  throw new SettingsError(`stage=${stage} is not allowed; allowed: ${Object.keys(stages).join(', ')}`);
}
let settings: Settings = stages[stage as keyof typeof stages];
const [issuer, audience, email] = [context('issuer'), context('audience'), context('email')];
if (issuer !== undefined) {
  const authorization = { kind: 'jwt' as const, issuer, audience: audience?.split(',') ?? [] };
  settings = { ...settings, api: { ...settings.api, authorization } };
}
if (email !== undefined) {
  settings = { ...settings, alarms: { ...settings.alarms, email } };
}

new MillraceStack(app, {
  settings,
  codeDirectory: context('functions') ?? join(import.meta.dirname, '../../target/functions'),
});
