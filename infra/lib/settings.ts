// The settings of a deployment and the stages. Everything that differs between stages is here.

import { RemovalPolicy } from 'aws-cdk-lib';

/**
 * How the HTTP API authenticates its callers. A player may read and arrange its own queue; the
 * scopes `millrace/commands` and `millrace/admin` allow more.
 */
export type ApiAuthorization =
  /** Requests are signed with AWS credentials: for servers that run in AWS. */
  | { kind: 'iam' }
  /** Tokens of an OpenID provider. The subject of a token is the player. */
  | { kind: 'jwt'; issuer: string; audience: string[] };

export interface FunctionSettings {
  memoryMiB: number;
  timeoutSeconds: number;
  /**
   * Runs at most this number of instances at the same time, and takes them from the quota of the
   * account. Unset: as many as the account allows.
   */
  reservedConcurrency?: number;
}

/** The shared cache. */
export type CacheSettings =
  /** Functions use their local caches and the tables only. There is no network. */
  { kind: 'none' } | ServerlessCacheSettings | NodeCacheSettings;

/** ElastiCache Serverless for Valkey, which is billed by use and needs no sizing. */
export interface ServerlessCacheSettings {
  kind: 'serverless';
  /** The major version of Valkey. */
  engineVersion: '7' | '8' | '9';
  /**
   * Limits the bill. At `storageGb` the cache evicts copies. At `ecpuPerSecond` it refuses
   * requests. Unset: no limit.
   */
  maximum?: { storageGb?: number; ecpuPerSecond?: number };
}

/** A replication group of ElastiCache, which is billed by the hour. */
export interface NodeCacheSettings {
  kind: 'nodes';
  engine: 'valkey' | 'redis';
  engineVersion: string;
  nodeType: string;
  /** Above 1: cluster mode, with the keys distributed over this number of primaries. */
  shards: number;
  /** Replicas of each primary. With at least one, nodes are in several zones and fail over. */
  replicas: number;
  snapshotDays: number;
  snapshotWindow: string;
  maintenanceWindow: string;
}

export interface QueueSettings {
  /** The most batches that Lambda processes at the same time. */
  maxConcurrency: number;
  /**
   * Provisioned mode: this number of pollers waits for messages, each with up to 10 batches at the
   * same time. Lambda bills them by the hour. They replace `maxConcurrency`.
   */
  pollers?: { minimum: number; maximum: number };
  maxReceiveCount: number;
}

/**
 * The functions. Cargo packages and binaries have these names, Lambda functions have them after the
 * prefix.
 */
export const FUNCTION_NAMES = ['process-tasks', 'advance-queues', 'queue-api', 'maintain-cache'] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];

/** The types of events that functions publish. */
export const EVENT_TYPES = [
  'taskQueued',
  'taskStarted',
  'taskProgressed',
  'taskCompleted',
  'taskRetried',
  'taskFailed',
  'taskCancelled',
  'taskChanged',
  'queuePaused',
  'queueResumed',
  'queueEmptied',
  'queueConfigured',
  'resourcesGranted',
  'commandRejected',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** These, and the type of events about the deployment. */
export const PUBLISHED_TYPES = [...EVENT_TYPES, 'thresholdCrossed'] as const;
export type PublishedType = (typeof PUBLISHED_TYPES)[number];

/** Instances of EC2 that Lambda starts and stops. There are always at least three. */
export interface ManagedInstancesSettings {
  /** The most vCPUs of all instances together. */
  maxVcpus: number;
  /** The memory of an execution environment for each of its vCPUs. */
  memoryGiBPerVcpu: 2 | 4 | 8;
  /** The most batches at the same time in one execution environment. */
  concurrency: number;
}

/** Who gets notifications. AWS asks for a confirmation first. */
export type Subscription =
  | { email: string }
  /** The https:// URL of a pager or chat service that takes notifications of SNS. */
  | { url: string };

export interface Settings {
  /** Part of the name of the stack and of the prefix `millrace-<stage>-` of all other names. */
  stage: string;
  /** Tags of all resources of the stack. */
  tags?: Record<string, string>;
  /** Keeps data when the stack is deleted, and protects the stack and the tables from deletion. */
  keepData: boolean;
  /**
   * Encrypts tables, cache and topics with a key of the account, which costs $1 a month. CloudTrail
   * then logs its use, and its policy can refuse it. Otherwise AWS encrypts them with its keys, and
   * the topics not.
   */
  hasKey: boolean;
  /**
   * The key that an earlier deployment of the stage kept, with which its tables are encrypted.
   * Unset: a key is created.
   */
  keyArn?: string;

  cache: CacheSettings;

  /**
   * Limits the bill: the most units a second that each table and each index may use. DynamoDB
   * throttles what is above. Unset: no limit but the quota of the account.
   */
  tables: { maxReadUnits?: number; maxWriteUnits?: number };

  queues: {
    /** Batches of a FIFO queue have at most 10 messages and no batching window. */
    commands: QueueSettings;
    progress: QueueSettings & { batchSize: number; windowSeconds: number };
    ticks: QueueSettings & { batchSize: number };
  };
  /** Metrics of what Lambda receives from each queue, and of what happens to it. */
  eventSourceMetrics: boolean;

  /**
   * `queue`: advance-queues sends ticks to process-tasks, which scales to any number of players.
   * `direct`: it advances queues itself.
   */
  ticks: 'queue' | 'direct';

  /** Where the events of queues are published (docs/workers.md). Workers need the bus. */
  events: {
    /**
     * The event bus, which also takes commands. With a shared cache it needs an interface endpoint
     * in each zone.
     */
    bus: boolean;
    /**
     * A FIFO queue, which keeps the order of each player. With a shared cache it needs an interface
     * endpoint in each zone.
     */
    queue: boolean;
    /** The events table, which the HTTP API reads. */
    table: boolean;
    /** The types that the bus and the queue get. The table gets all. */
    types: PublishedType[] | 'all';
    /** How long the events table keeps an event. */
    retentionHours: number;
  };

  functions: Record<FunctionName, FunctionSettings>;
  /**
   * Runs process-tasks on instances, for a high and steady load. They need the network of a shared
   * cache, with endpoints for logs and traces. AWS does not let a function leave them: only a new
   * stage can. Unset: it is an ordinary function.
   */
  managedInstances?: ManagedInstancesSettings;
  /** Environment variables of all functions (docs/settings.md) that differ from their defaults. */
  environment: Record<string, string>;
  /**
   * How a new version takes over: at once, or with a tenth of the traffic for five minutes first.
   * An alarm rolls it back in both cases.
   */
  deployment: 'all-at-once' | 'canary';
  logDays: 1 | 3 | 5 | 7 | 14 | 30 | 60 | 90 | 180 | 365;

  api: {
    authorization: ApiAuthorization;
    /** Of all callers together. */
    requestsPerSecond: number;
    burst: number;
    /** Of GET and HEAD each. Everyone may check the health. */
    healthRequestsPerSecond: number;
    /** Origins whose web pages may call the API from a browser. Empty: none. */
    corsOrigins: string[];
  };

  /**
   * `full`: all alarms, the metrics of the functions and the dashboard. `basic`: five alarms on
   * work that fails. The functions then only log their metrics.
   */
  monitoring: 'basic' | 'full';
  alarms: {
    /** Get the alarm that cannot wait: players are affected. */
    pages: Subscription[];
    /** Get all other alarms, which can wait until the morning. */
    warnings: Subscription[];
    /** The quota of the account for concurrent executions. An alarm warns at 80 % of it. */
    accountConcurrency: number;
    /** Limit for the age of the oldest message of a queue. */
    queueAgeSeconds: number;
    /**
     * Limits of the thresholds of docs/metrics.md that differ from their defaults, such as
     * `{ lateness: 60_000 }`. The functions get the same limits.
     */
    thresholds: Record<string, number>;
  };
  /**
   * A budget of the whole account. The addresses of `alarms.warnings` are told when 80 % is spent,
   * and when more than all is forecast. Unset: no budget.
   */
  budget?: { dollarsAMonth: number };
}

/** What a deployment has that sets nothing else. */
export const DEFAULTS: Settings = {
  stage: 'production',
  keepData: true,
  hasKey: true,
  cache: { kind: 'none' },
  tables: {},
  queues: {
    commands: { maxConcurrency: 50, maxReceiveCount: 5 },
    progress: { batchSize: 1000, windowSeconds: 1, maxConcurrency: 10, maxReceiveCount: 5 },
    ticks: { batchSize: 10, maxConcurrency: 10, maxReceiveCount: 3 },
  },
  eventSourceMetrics: false,
  ticks: 'queue',
  events: { bus: true, queue: false, table: true, types: 'all', retentionHours: 24 },
  // A function answers half a second before its time-out (MILLRACE_DEADLINE_MARGIN_MS) and hands
  // back what is left.
  functions: {
    'process-tasks': { memoryMiB: 512, timeoutSeconds: 30 },
    'advance-queues': { memoryMiB: 256, timeoutSeconds: 50 },
    'queue-api': { memoryMiB: 256, timeoutSeconds: 10 },
    'maintain-cache': { memoryMiB: 256, timeoutSeconds: 300 },
  },
  environment: {},
  deployment: 'all-at-once',
  logDays: 30,
  api: {
    authorization: { kind: 'iam' },
    requestsPerSecond: 50,
    burst: 100,
    healthRequestsPerSecond: 2,
    corsOrigins: [],
  },
  monitoring: 'basic',
  alarms: { pages: [], warnings: [], accountConcurrency: 1000, queueAgeSeconds: 120, thresholds: {} },
};

/** A replication group for stages that set `kind: 'nodes'`: three nodes that fail over. */
export const NODE_CACHE: NodeCacheSettings = {
  kind: 'nodes',
  engine: 'valkey',
  engineVersion: '8.2',
  nodeType: 'cache.m7g.large',
  shards: 1,
  replicas: 2,
  snapshotDays: 1,
  snapshotWindow: '02:00-03:00',
  maintenanceWindow: 'tue:03:30-tue:04:30',
};

export const stages = {
  dev: {
    ...DEFAULTS,
    stage: 'dev',
    tags: { application: 'millrace', stage: 'dev' },
    keepData: false,
    hasKey: false,
    logDays: 7,
  },
  production: {
    ...DEFAULTS,
    stage: 'production',
    tags: { application: 'millrace', stage: 'production' },
    cache: { kind: 'serverless', engineVersion: '8' },
    eventSourceMetrics: true,
    monitoring: 'full',
    deployment: 'canary',
    api: { ...DEFAULTS.api, requestsPerSecond: 1000, burst: 2000, healthRequestsPerSecond: 5 },
  },
} satisfies Record<string, Settings>;

/**
 * The removal policy of resources that hold data. A resource that a failed deployment has just
 * created is deleted even where data is kept: it is empty, and its name would block the next
 * attempt.
 */
export function removalPolicyOf({ keepData }: Pick<Settings, 'keepData'>): RemovalPolicy {
  return keepData ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY;
}

/** The prefix of the names of all resources. */
export function prefixOf(settings: Settings): string {
  return `millrace-${settings.stage}-`;
}
