// What is said on the command line of `cdk`: of one deployment, and no more. What makes a stage what it is stands in
// settings.ts, where no deployment can leave it out.

import { type Settings, SettingsError, stages } from './settings.ts';

export interface Options {
  settings: Settings;
  /** Where the functions are, if not where `make functions` leaves them. */
  codeDirectory?: string;
  /** New versions take over though an alarm rings, and are not taken back for one. */
  ignoreAlarms: boolean;
}

/** What could once be said there, and would have been taken back by the next deployment that did not say it. */
const IN_SETTINGS: Record<string, string> = {
  email: 'alarms.email',
  issuer: 'api.authorization',
  audience: 'api.authorization',
};

/** Reads the options that `-c name=value` gives. */
export function optionsFrom(context: (name: string) => unknown): Options {
  for (const [name, setting] of Object.entries(IN_SETTINGS)) {
    if (context(name) !== undefined) {
      throw new SettingsError(
        `-c ${name}=${String(context(name))} is not allowed; allowed: ${setting} of the stage in infra/lib/settings.ts, which no deployment can leave out`,
      );
    }
  }
  const stage = context('stage') ?? 'dev';
  if (typeof stage !== 'string' || !Object.hasOwn(stages, stage)) {
    throw new SettingsError(`-c stage=${String(stage)} is not allowed; allowed: ${Object.keys(stages).join(', ')}`);
  }
  const ignoreAlarms = String(context('ignoreAlarms') ?? false);
  if (ignoreAlarms !== 'true' && ignoreAlarms !== 'false') {
    throw new SettingsError(`-c ignoreAlarms=${ignoreAlarms} is not allowed; allowed: true, false`);
  }
  const functions = context('functions');
  return {
    settings: stages[stage as keyof typeof stages],
    ...(typeof functions === 'string' && { codeDirectory: functions }),
    ignoreAlarms: ignoreAlarms === 'true',
  };
}
