// Checks settings before the synthesis. CloudFormation would reject some of these values only after
// half an hour, and accept others that do harm.

import { THRESHOLDS } from './metrics.ts';
import {
  FUNCTION_NAMES,
  type NodeCacheSettings,
  PUBLISHED_TYPES,
  type PublishedType,
  type QueueSettings,
  type ServerlessCacheSettings,
  type Settings,
  type Subscription,
} from './settings.ts';

/** A poller of provisioned mode has at most this number of batches at the same time. */
const BATCHES_OF_A_POLLER = 10;

/** A setting or an option has a value that is not allowed. */
export class SettingsError extends Error {
  override name = 'SettingsError';

  /** `what` names the setting and its value, such as `stage=Prod`. */
  constructor(what: string, allowed: string) {
    super(`${what} is not allowed; allowed: ${allowed}`);
  }
}

/**
 * Returns the settings unchanged. Throws a `SettingsError` for the first one that is not allowed.
 */
export function validate(settings: Settings): Settings {
  if (!/^[a-z][a-z0-9]{0,11}$/.test(settings.stage)) {
    throw new SettingsError(
      `stage=${settings.stage}`,
      '1 to 12 of a-z 0-9, a letter first (names of caches are short)',
    );
  }
  if (settings.keyArn !== undefined && !/^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/.test(settings.keyArn)) {
    throw new SettingsError(`keyArn=${settings.keyArn}`, 'the ARN of a key, as the output KeyArn has it');
  }
  if (settings.keyArn !== undefined && !settings.hasKey) {
    throw new SettingsError('hasKey=false', 'true, where keyArn names a key');
  }
  validateCache(settings.cache);
  validateTables(settings.tables);
  validateQueues(settings.queues);
  validateEvents(settings.events);
  validateFunctions(settings);
  validateManagedInstances(settings);
  validateAlarms(settings.alarms);
  validateMonitoring(settings);
  validateApi(settings.api);
  validateEnvironment(settings.environment);
  return settings;
}

function requireWholeNumber(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new SettingsError(`${name}=${value}`, `a whole number from ${least} to ${most}`);
  }
}

function requireWholeNumberIfSet(name: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined) {
    requireWholeNumber(name, value, least, most);
  }
}

function validateCache(cache: Settings['cache']): void {
  switch (cache.kind) {
    case 'none':
      return;
    case 'serverless':
      return validateServerlessCache(cache);
    case 'nodes':
      return validateNodeCache(cache);
  }
}

function validateServerlessCache({ engineVersion, maximum }: ServerlessCacheSettings): void {
  if (!['7', '8', '9'].includes(engineVersion)) {
    throw new SettingsError(`cache.engineVersion=${engineVersion}`, '7, 8 or 9, a major version of Valkey');
  }
  requireWholeNumberIfSet('cache.maximum.storageGb', maximum?.storageGb, 1, 5_000);
  requireWholeNumberIfSet('cache.maximum.ecpuPerSecond', maximum?.ecpuPerSecond, 1_000, 15_000_000);
}

function validateNodeCache(cache: NodeCacheSettings): void {
  requireWholeNumber('cache.shards', cache.shards, 1, 90);
  requireWholeNumber('cache.replicas', cache.replicas, 0, 5);
  requireWholeNumber('cache.snapshotDays', cache.snapshotDays, 0, 35);
  if (!/^(redis:7\.[01]|valkey:(7\.2|8\.[0-2]|9\.[01]))$/.test(`${cache.engine}:${cache.engineVersion}`)) {
    throw new SettingsError(
      `cache.engine=${cache.engine} ${cache.engineVersion}`,
      'valkey 7.2, 8.0 to 8.2, 9.0 or 9.1, redis 7.0 or 7.1',
    );
  }
}

function validateTables({ maxReadUnits, maxWriteUnits }: Settings['tables']): void {
  requireWholeNumberIfSet('tables.maxReadUnits', maxReadUnits, 1, 1_000_000);
  requireWholeNumberIfSet('tables.maxWriteUnits', maxWriteUnits, 1, 1_000_000);
}

function validateQueues(queues: Settings['queues']): void {
  const { progress, ticks } = queues;
  for (const [name, { maxConcurrency, pollers, maxReceiveCount }] of Object.entries<QueueSettings>(queues)) {
    requireWholeNumber(`queues.${name}.maxConcurrency`, maxConcurrency, 2, 1000);
    requireWholeNumber(`queues.${name}.maxReceiveCount`, maxReceiveCount, 1, 1000);
    if (pollers !== undefined) {
      requireWholeNumber(`queues.${name}.pollers.minimum`, pollers.minimum, 2, 200);
      requireWholeNumber(`queues.${name}.pollers.maximum`, pollers.maximum, pollers.minimum, 2000);
    }
  }
  requireWholeNumber('queues.progress.batchSize', progress.batchSize, 1, 10_000);
  // Lambda requires a batching window for batches of more than 10 messages.
  requireWholeNumber('queues.progress.windowSeconds', progress.windowSeconds, progress.batchSize > 10 ? 1 : 0, 300);
  requireWholeNumber('queues.ticks.batchSize', ticks.batchSize, 1, 10);
}

function validateEvents({ bus, queue, types, retentionHours }: Settings['events']): void {
  requireWholeNumber('events.retentionHours', retentionHours, 1, 8760);
  if (types === 'all') {
    return;
  }
  if (!bus && !queue) {
    throw new SettingsError(`events.types=${types.join(',')}`, 'all, where neither the bus nor a queue gets events');
  }
  const known: readonly string[] = PUBLISHED_TYPES;
  const unknown = types.find((type: PublishedType) => !known.includes(type));
  if (types.length === 0 || unknown !== undefined) {
    throw new SettingsError(`events.types=${unknown ?? '[]'}`, `all, or at least one of ${known.join(', ')}`);
  }
}

function validateFunctions({ functions, queues }: Settings): void {
  for (const name of FUNCTION_NAMES) {
    const { memoryMiB, timeoutSeconds, reservedConcurrency } = functions[name];
    requireWholeNumber(`functions.${name}.memoryMiB`, memoryMiB, 128, 10_240);
    // An HTTP API waits at most 30 s for its function.
    requireWholeNumber(`functions.${name}.timeoutSeconds`, timeoutSeconds, 2, name === 'queue-api' ? 29 : 900);
    // With fewer instances than batches, Lambda throttles batches until they are dead letters.
    const least = name === 'process-tasks' ? batchesAtOnce(queues) : 1;
    requireWholeNumberIfSet(`functions.${name}.reservedConcurrency`, reservedConcurrency, least, 100_000);
  }
}

function validateManagedInstances({ managedInstances, cache, deployment, functions }: Settings): void {
  if (managedInstances === undefined) {
    return;
  }
  requireWholeNumber('managedInstances.maxVcpus', managedInstances.maxVcpus, 12, 15_000);
  requireWholeNumber('managedInstances.concurrency', managedInstances.concurrency, 1, 1_600);
  requireWholeNumber('functions.process-tasks.memoryMiB', functions['process-tasks'].memoryMiB, 2_048, 32_768);
  if (cache.kind === 'none') {
    throw new SettingsError('managedInstances', 'with a shared cache, which has a network');
  }
  if (deployment !== 'all-at-once' || functions['process-tasks'].reservedConcurrency !== undefined) {
    throw new SettingsError('managedInstances', 'with deployment=all-at-once, and without reservedConcurrency');
  }
}

/** The most batches that Lambda passes to process-tasks at the same time. */
function batchesAtOnce(queues: Settings['queues']): number {
  const ofQueue = ({ maxConcurrency, pollers }: QueueSettings) =>
    pollers === undefined ? maxConcurrency : BATCHES_OF_A_POLLER * pollers.maximum;
  return Object.values<QueueSettings>(queues).reduce((sum, queue) => sum + ofQueue(queue), 0);
}

/** CodeDeploy takes a new version back by metrics of the functions. */
function validateMonitoring({ monitoring, deployment, alarms, budget }: Settings): void {
  if (monitoring === 'basic' && deployment === 'canary') {
    throw new SettingsError('monitoring=basic', 'full, or basic with deployment=all-at-once');
  }
  if (budget !== undefined) {
    requireWholeNumber('budget.dollarsAMonth', budget.dollarsAMonth, 1, 10_000_000);
    if (!alarms.warnings.some((subscription) => 'email' in subscription)) {
      throw new SettingsError('budget', 'with at least one email in alarms.warnings');
    }
  }
}

function validateSubscription(name: string, subscription: Subscription): void {
  if ('email' in subscription && !/^[^@\s]+@[^@\s]+$/.test(subscription.email)) {
    throw new SettingsError(`${name}.email=${subscription.email}`, 'an address, such as you@example.com');
  }
  if ('url' in subscription && !/^https:\/\/[^/\s]+/.test(subscription.url)) {
    throw new SettingsError(`${name}.url=${subscription.url}`, 'a URL with https://');
  }
}

function validateAlarms(alarms: Settings['alarms']): void {
  alarms.pages.forEach((subscription) => validateSubscription('alarms.pages', subscription));
  alarms.warnings.forEach((subscription) => validateSubscription('alarms.warnings', subscription));
  requireWholeNumber('alarms.accountConcurrency', alarms.accountConcurrency, 10, 1_000_000);
  for (const [id, limit] of Object.entries(alarms.thresholds)) {
    if (!THRESHOLDS.some((threshold) => threshold.id === id)) {
      throw new SettingsError(`alarms.thresholds.${id}`, THRESHOLDS.map((threshold) => threshold.id).join(', '));
    }
    if (!Number.isFinite(limit) || limit < 0) {
      throw new SettingsError(`alarms.thresholds.${id}=${limit}`, 'a number of at least 0');
    }
  }
}

function validateApi({ corsOrigins, authorization, healthRequestsPerSecond }: Settings['api']): void {
  requireWholeNumber('api.healthRequestsPerSecond', healthRequestsPerSecond, 1, 10_000);
  const isOrigin = (origin: string) => /^https?:\/\/[a-z0-9.-]+(:\d+)?$/.test(origin);
  const isAny = (origin: string) => origin === '*' && corsOrigins.length === 1;
  const badOrigin = corsOrigins.find((origin) => !isOrigin(origin) && !isAny(origin));
  if (badOrigin !== undefined) {
    throw new SettingsError(
      `api.corsOrigins=${badOrigin}`,
      '* alone, or origins in lower case and without a path, such as https://game.example',
    );
  }
  if (authorization.kind !== 'jwt') {
    return;
  }
  const { issuer, audience } = authorization;
  if (!issuer.startsWith('https://')) {
    throw new SettingsError(`api.authorization.issuer=${issuer}`, 'the https:// URL of an OpenID provider');
  }
  if (audience.length === 0) {
    throw new SettingsError('api.authorization.audience=[]', 'at least one audience');
  }
}

function validateEnvironment(environment: Settings['environment']): void {
  for (const name of Object.keys(environment)) {
    if (name === 'MILLRACE_CORS_ORIGINS') {
      throw new SettingsError(`environment.${name}`, 'api.corsOrigins, which API Gateway needs too');
    }
    if (name.startsWith('MILLRACE_EVENTS')) {
      throw new SettingsError(`environment.${name}`, 'events, which also creates and grants what is published to');
    }
    if (name === 'MILLRACE_THRESHOLDS') {
      throw new SettingsError(`environment.${name}`, 'alarms.thresholds, which the alarms need too');
    }
    if (name.startsWith('MILLRACE_METRICS')) {
      throw new SettingsError(`environment.${name}`, 'no setting: the alarms need the metrics');
    }
    if (!/^MILLRACE_[A-Z_]+$/.test(name)) {
      throw new SettingsError(`environment.${name}`, 'the settings of docs/settings.md');
    }
  }
}
