// A stack with one deployment of Millrace, as the stages of settings.ts describe it.

import { Fn, Stack, type StackProps, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Millrace } from './millrace.ts';
import type { Settings } from './settings.ts';
import { validate } from './validation.ts';

export interface MillraceStackProps extends StackProps {
  settings: Settings;
  /** Contains `<function>/bootstrap` or `<function>.zip` for each function. */
  codeDirectory: string;
  /** Deploys new versions although an alarm is active (options.ts). */
  ignoreAlarms?: boolean;
}

export class MillraceStack extends Stack {
  readonly millrace: Millrace;

  constructor(scope: Construct, { settings, codeDirectory, ignoreAlarms = false, ...props }: MillraceStackProps) {
    super(scope, `millrace-${validate(settings).stage}`, {
      description: `Millrace, ${settings.stage}: a task queue for each player`,
      terminationProtection: settings.keepData,
      ...props,
    });
    for (const [name, value] of Object.entries(settings.tags ?? {})) {
      Tags.of(this).add(name, value);
    }
    const { tags: _, ...millraceProps } = settings;
    this.millrace = new Millrace(this, 'Millrace', { ...millraceProps, codeDirectory, ignoreAlarms });
    this.millrace.addOutputs();
  }

  /** Three zones by index. The CDK needs no account to look them up. */
  override get availabilityZones(): string[] {
    return [0, 1, 2].map((index) => Fn.select(index, Fn.getAzs()));
  }
}
