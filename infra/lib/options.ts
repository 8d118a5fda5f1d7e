// The options of one deployment: the `-c name=value` arguments of `cdk`. Settings of a stage are in
// settings.ts instead, where no deployment can leave them out.

import { type Settings, stages } from './settings.ts';
import { SettingsError } from './validation.ts';

export interface Options {
  settings: Settings;
  /** Directory of the built functions. Unset: where `make functions` puts them. */
  codeDirectory?: string;
  /** Deploys new versions although an alarm is active, and does not roll back on an alarm. */
  ignoreAlarms: boolean;
}

/** Settings that are refused as options. The next deployment without the option would undo them. */
const SETTINGS_OF_STAGES: Record<string, string> = {
  email: 'alarms.warnings',
  issuer: 'api.authorization',
  audience: 'api.authorization',
};

/** Reads the options from the CDK context. Throws a `SettingsError` for one that is not allowed. */
export function readOptions(context: (name: string) => unknown): Options {
  for (const [name, setting] of Object.entries(SETTINGS_OF_STAGES)) {
    if (context(name) !== undefined) {
      throw new SettingsError(
        `-c ${name}=${String(context(name))}`,
        `${setting} of the stage in infra/lib/settings.ts, which no deployment can leave out`,
      );
    }
  }
  const stage = context('stage') ?? 'dev';
  if (typeof stage !== 'string' || !Object.hasOwn(stages, stage)) {
    throw new SettingsError(`-c stage=${String(stage)}`, Object.keys(stages).join(', '));
  }
  const ignoreAlarms = String(context('ignoreAlarms') ?? false);
  if (ignoreAlarms !== 'true' && ignoreAlarms !== 'false') {
    throw new SettingsError(`-c ignoreAlarms=${ignoreAlarms}`, 'true, false');
  }
  const functions = context('functions');
  return {
    settings: stages[stage as keyof typeof stages],
    ...(typeof functions === 'string' && { codeDirectory: functions }),
    ignoreAlarms: ignoreAlarms === 'true',
  };
}
