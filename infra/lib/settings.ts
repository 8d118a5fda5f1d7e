// What can be set about a deployment, and what it is set to: everything in which stages differ stands here.

import { RemovalPolicy } from 'aws-cdk-lib';

/** Who may call the HTTP API. A player may read and arrange its own queue; the scopes `millrace/commands`
 *  and `millrace/admin` allow more. */
export type ApiAuthorization =
  /** Callers sign their requests: for servers in AWS. */
  | { kind: 'iam' }
  /** Tokens of an OpenID provider, whose subject is the player. */
  | { kind: 'jwt'; issuer: string; audience: string[] };

export interface FunctionSettings {
  memoryMiB: number;
  timeoutSeconds: number;
}

/** The names of the functions: of cargo packages, binaries and, after the prefix, of Lambda functions. */
export const FUNCTION_NAMES = ['process-tasks', 'advance-queues', 'queue-api', 'maintain-cache'] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];

export interface Settings {
  /** Names the stack and, as `millrace-<stage>-`, begins the name of whatever has one. */
  stage: string;
  tags: Record<string, string>;
  /** Data outlives a deleted stack, and nothing that holds data can be deleted by mistake. */
  keepData: boolean;

  cache: {
    engine: 'redis' | 'valkey';
    engineVersion: string;
    nodeType: string;
    /** More than 1: cluster mode, keys spread over so many primaries. */
    shards: number;
    /** Of each primary. With at least one, the nodes lie in several zones and one takes over. */
    replicas: number;
    snapshotDays: number;
    snapshotWindow: string;
    maintenanceWindow: string;
  };

  queues: {
    /** Most messages of one invocation, and how long to wait for them. A FIFO queue gives at most 10, and never waits. */
    commands: { maxConcurrency: number; maxReceiveCount: number };
    progress: { batchSize: number; windowSeconds: number; maxConcurrency: number; maxReceiveCount: number };
    ticks: { batchSize: number; maxConcurrency: number; maxReceiveCount: number };
  };

  /** `queue`: advance-queues hands ticks to process-tasks, for any number of players, through an interface endpoint
   *  in each zone. `direct`: it advances queues itself, which costs no endpoint. */
  ticks: 'queue' | 'direct';

  functions: Record<FunctionName, FunctionSettings>;
  /** Settings of the functions themselves (docs/settings.md) that are not to have their defaults. */
  environment: Record<string, string>;
  /** How a new version takes over: at once, or with a tenth of the traffic for five minutes first. Rolled back on an alarm. */
  deployment: 'all-at-once' | 'canary';
  logDays: 1 | 3 | 5 | 7 | 14 | 30 | 60 | 90 | 180 | 365;

  api: {
    authorization: ApiAuthorization;
    requestsPerSecond: number;
    burst: number;
    /** Origins of web pages that may call it; none: no page may. */
    corsOrigins: string[];
  };

  alarms: {
    /** Who is written to. None: alarms reach the topic, and whoever subscribes to it. */
    email?: string;
    /** Oldest message of a queue. */
    queueAgeSeconds: number;
    /** How late a due queue was advanced. */
    latenessSeconds: number;
    /** Of lookups of queues, over a quarter of an hour. */
    hitRatePercent: number;
  };
}

/** What all stages have in common. */
const common = {
  keepData: false,
  // A function answers half a second before its time-out (MILLRACE_DEADLINE_MARGIN_MS), with what it has done by then.
  functions: {
    'process-tasks': { memoryMiB: 512, timeoutSeconds: 30 },
    'advance-queues': { memoryMiB: 256, timeoutSeconds: 50 },
    'queue-api': { memoryMiB: 256, timeoutSeconds: 10 },
    'maintain-cache': { memoryMiB: 256, timeoutSeconds: 300 },
  },
  queues: {
    commands: { maxConcurrency: 50, maxReceiveCount: 5 },
    progress: { batchSize: 1000, windowSeconds: 1, maxConcurrency: 10, maxReceiveCount: 5 },
    ticks: { batchSize: 10, maxConcurrency: 10, maxReceiveCount: 3 },
  },
  environment: {},
  alarms: { queueAgeSeconds: 120, latenessSeconds: 120, hitRatePercent: 80 },
} satisfies Partial<Settings>;

export const stages = {
  dev: {
    ...common,
    stage: 'dev',
    tags: { application: 'millrace', stage: 'dev' },
    cache: {
      engine: 'redis',
      engineVersion: '7.1',
      nodeType: 'cache.t4g.micro',
      shards: 1,
      replicas: 0,
      snapshotDays: 0,
      snapshotWindow: '02:00-03:00',
      maintenanceWindow: 'tue:03:30-tue:04:30',
    },
    ticks: 'direct',
    deployment: 'all-at-once',
    logDays: 7,
    api: { authorization: { kind: 'iam' }, requestsPerSecond: 50, burst: 100, corsOrigins: [] },
  },
  production: {
    ...common,
    stage: 'production',
    tags: { application: 'millrace', stage: 'production' },
    keepData: true,
    cache: {
      engine: 'redis',
      engineVersion: '7.1',
      nodeType: 'cache.m7g.large',
      shards: 1,
      replicas: 2,
      snapshotDays: 1,
      snapshotWindow: '02:00-03:00',
      maintenanceWindow: 'tue:03:30-tue:04:30',
    },
    ticks: 'queue',
    deployment: 'canary',
    logDays: 30,
    api: { authorization: { kind: 'iam' }, requestsPerSecond: 1000, burst: 2000, corsOrigins: [] },
  },
} satisfies Record<string, Settings>;

export type StageName = keyof typeof stages;

/** What happens to what holds data, once it leaves the stack. Kept data is not kept where the very deployment that made it
 *  fails: nothing is in it yet, and its name would be in the way of the next attempt. */
export function removalPolicyOf({ keepData }: Pick<Settings, 'keepData'>): RemovalPolicy {
  return keepData ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY;
}

/** What names begin with. */
export function prefixOf(settings: Settings): string {
  return `millrace-${settings.stage}-`;
}

/** A setting with which nothing can be deployed. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

/** Refuses what CloudFormation or AWS would refuse half an hour later, or worse, take. */
export function check(settings: Settings): Settings {
  const whole = (name: string, value: number, least: number, most: number) => {
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new SettingsError(`${name}=${value} is not allowed; allowed: a whole number from ${least} to ${most}`);
    }
  };
  const { cache, queues, api, functions } = settings;
  if (!/^[a-z][a-z0-9]{0,11}$/.test(settings.stage)) {
    throw new SettingsError(
      `stage=${settings.stage} is not allowed; allowed: 1 to 12 of a-z 0-9, a letter first (names of caches are short)`,
    );
  }
  whole('cache.shards', cache.shards, 1, 90);
  whole('cache.replicas', cache.replicas, 0, 5);
  whole('cache.snapshotDays', cache.snapshotDays, 0, 35);
  if (!/^(redis:7\.[01]|valkey:(7\.2|8\.[0-9]))$/.test(`${cache.engine}:${cache.engineVersion}`)) {
    throw new SettingsError(
      `cache.engine=${cache.engine} ${cache.engineVersion} is not allowed; allowed: redis 7.0 or 7.1, valkey 7.2 or 8`,
    );
  }
  whole('queues.commands.maxConcurrency', queues.commands.maxConcurrency, 2, 1000);
  whole('queues.progress.maxConcurrency', queues.progress.maxConcurrency, 2, 1000);
  whole('queues.ticks.maxConcurrency', queues.ticks.maxConcurrency, 2, 1000);
  whole('queues.progress.batchSize', queues.progress.batchSize, 1, 10_000);
  whole('queues.progress.windowSeconds', queues.progress.windowSeconds, queues.progress.batchSize > 10 ? 1 : 0, 300);
  whole('queues.ticks.batchSize', queues.ticks.batchSize, 1, 10);
  for (const [name, { maxReceiveCount }] of Object.entries(queues)) {
    whole(`queues.${name}.maxReceiveCount`, maxReceiveCount, 1, 1000);
  }
  for (const [name, { memoryMiB, timeoutSeconds }] of Object.entries(functions)) {
    whole(`functions.${name}.memoryMiB`, memoryMiB, 128, 10_240);
    // Visibility is six times the time-out, and ends at twelve hours. The HTTP API waits for 30 s.
    whole(`functions.${name}.timeoutSeconds`, timeoutSeconds, 2, name === 'queue-api' ? 29 : 900);
  }
  const { email } = settings.alarms;
  if (email !== undefined && !/^[^@\s]+@[^@\s]+$/.test(email)) {
    throw new SettingsError(`alarms.email=${email} is not allowed; allowed: an address, such as you@example.com`);
  }
  whole('alarms.hitRatePercent', settings.alarms.hitRatePercent, 1, 100);
  const origins = /^https?:\/\/[a-z0-9.-]+(:\d+)?$/;
  const badOrigin = api.corsOrigins.find(
    (origin) => !origins.test(origin) && !(origin === '*' && api.corsOrigins.length === 1),
  );
  if (badOrigin !== undefined) {
    throw new SettingsError(
      `api.corsOrigins=${badOrigin} is not allowed; allowed: * alone, or origins in lower case and without a path, such as https://game.example`,
    );
  }
  for (const name of Object.keys(settings.environment)) {
    if (name === 'MILLRACE_CORS_ORIGINS') {
      throw new SettingsError(
        'environment.MILLRACE_CORS_ORIGINS is not allowed; allowed: api.corsOrigins, which API Gateway needs too',
      );
    }
    if (!/^MILLRACE_[A-Z_]+$/.test(name)) {
      throw new SettingsError(`environment.${name} is not allowed; allowed: the settings of docs/settings.md`);
    }
  }
  if (api.authorization.kind === 'jwt') {
    const { issuer, audience } = api.authorization;
    if (!issuer.startsWith('https://')) {
      throw new SettingsError(
        `api.authorization.issuer=${issuer} is not allowed; allowed: the https:// URL of an OpenID provider`,
      );
    }
    if (audience.length === 0) {
      throw new SettingsError('api.authorization.audience is empty; allowed: at least one audience');
    }
  }
  return settings;
}
