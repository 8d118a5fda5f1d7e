// The properties of the construct, and the settings that they make with the defaults.

import type { ExistingNetwork } from './network.ts';
import { type FunctionName, type FunctionSettings, DEFAULTS, type Settings } from './settings.ts';

/** The properties of `Millrace`. */
export interface MillraceProps {
  /**
   * The directory of the built functions. It has `<function>/bootstrap` or `<function>.zip` for
   * each of `process-tasks`, `advance-queues`, `queue-api` and `maintain-cache`, for arm64.
   */
  readonly codeDirectory: string;

  /**
   * Part of the names of tables, functions, alarms and others, which begin with
   * `millrace-<stage>-`: 1 to 12 of `a-z 0-9`, a letter first. Two deployments in one account and
   * region need different stages.
   *
   * @default 'production'
   */
  readonly stage?: string;

  /**
   * Keeps tables, queues and the key when they are removed from the stack, and protects the tables
   * from deletion.
   *
   * @default true
   */
  readonly keepData?: boolean;

  /**
   * Encrypts with a key of the account, instead of keys of AWS.
   *
   * @default true
   */
  readonly hasKey?: boolean;

  /**
   * The key that an earlier deployment of the stage kept (docs/deploying.md).
   *
   * @default - a key is created
   */
  readonly keyArn?: string;

  /**
   * The shared cache.
   *
   * @default { kind: 'none' }
   */
  readonly cache?: Settings['cache'];

  /**
   * The network of the functions and the shared cache. Without a shared cache it is not used.
   *
   * @default - a VPC with isolated subnets, if there is a shared cache
   */
  readonly network?: ExistingNetwork;

  /**
   * Limits of the tables.
   *
   * @default - the quotas of the account
   */
  readonly tables?: Settings['tables'];

  /**
   * How messages are taken from the queues.
   *
   * @default - 50 batches of commands at the same time, and 10 of reports and of ticks
   */
  readonly queues?: { readonly [Name in keyof Settings['queues']]?: Partial<Settings['queues'][Name]> };

  /**
   * Metrics of what Lambda receives from each queue.
   *
   * @default false
   */
  readonly eventSourceMetrics?: boolean;

  /**
   * How queues with something due are advanced.
   *
   * @default 'queue'
   */
  readonly ticks?: Settings['ticks'];

  /**
   * Where the events of queues are published.
   *
   * @default - all types to the bus and to the events table, which keeps them for 24 hours
   */
  readonly events?: Partial<Settings['events']>;

  /**
   * Memory, time-outs and reserved concurrency of the functions.
   *
   * @default - 256 or 512 MiB, and no reserved concurrency
   */
  readonly functions?: Partial<Record<FunctionName, Partial<FunctionSettings>>>;

  /**
   * Runs process-tasks on instances.
   *
   * @default - it is an ordinary function
   */
  readonly managedInstances?: Settings['managedInstances'];

  /**
   * Environment variables of all functions.
   *
   * @default - none
   */
  readonly environment?: Settings['environment'];

  /**
   * How a new version takes over.
   *
   * @default 'all-at-once'
   */
  readonly deployment?: Settings['deployment'];

  /**
   * Deploys new versions although an alarm is active.
   *
   * @default false
   */
  readonly ignoreAlarms?: boolean;

  /**
   * For how many days logs are kept.
   *
   * @default 30
   */
  readonly logDays?: Settings['logDays'];

  /**
   * The HTTP API.
   *
   * @default - requests are signed with AWS credentials, at most 50 a second
   */
  readonly api?: Partial<Settings['api']>;

  /**
   * How closely the deployment is watched.
   *
   * @default 'basic'
   */
  readonly monitoring?: Settings['monitoring'];

  /**
   * Who is notified, and the limits of alarms.
   *
   * @default - no subscribers
   */
  readonly alarms?: Partial<Settings['alarms']>;

  /**
   * A budget of the account.
   *
   * @default - no budget
   */
  readonly budget?: Settings['budget'];
}

/** The settings that properties make with the defaults. */
export function settingsOf(props: MillraceProps): Settings {
  const { codeDirectory: _, network: __, ignoreAlarms: ___, queues, functions, events, api, alarms, ...rest } = props;
  return {
    ...DEFAULTS,
    ...rest,
    queues: mergeEach(DEFAULTS.queues, queues),
    functions: mergeEach(DEFAULTS.functions, functions),
    events: { ...DEFAULTS.events, ...events },
    api: { ...DEFAULTS.api, ...api },
    alarms: { ...DEFAULTS.alarms, ...alarms },
  };
}

/** Merges each property of an object with the one of the same name. */
function mergeEach<T extends object>(defaults: T, changes: { readonly [K in keyof T]?: Partial<T[K]> } = {}): T {
  const names = Object.keys(defaults) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, { ...defaults[name], ...changes[name] }])) as T;
}
