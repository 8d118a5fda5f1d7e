// The cost of a month: fixed costs of a stage, and the costs of commands, reports and reads.

import { Template } from 'aws-cdk-lib/assertions';
import { createApp } from '../lib/app.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL, WATCH_INTERVAL } from '../lib/intervals.ts';
import { PUBLISHED_METRICS } from '../lib/metrics.ts';
import { FUNCTION_NAMES, type FunctionName, type NodeCacheSettings, type Settings } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';
import { HOURS_PER_MONTH, prices } from './prices.ts';

const MINUTES_PER_MONTH = HOURS_PER_MONTH * 60;

/** What players do in a month. */
export interface Load {
  commands: number;
  reports: number;
  reads: number;
  storedGb: number;
  /** In the shared cache. */
  cachedGb: number;
}

export const IDLE: Load = { commands: 0, reports: 0, reads: 0, storedGb: 0, cachedGb: 0 };

/** 50,000 players a day. Each sends 20 commands and 100 progress reports, and reads 30 times. */
const PLAYER_DAYS = 50_000 * 30;
export const BUSY: Load = {
  commands: PLAYER_DAYS * 20,
  reports: PLAYER_DAYS * 100,
  reads: PLAYER_DAYS * 30,
  storedGb: 40,
  // Copies of 4 KB, of all players of a day.
  cachedGb: 0.2,
};

const ASSUMPTIONS = {
  /** FIFO batches are small where few players send at once. Reports are batched for a second. */
  commandsPerInvocation: 3,
  reportsPerInvocation: 50,
  /** Billed durations, including the time to wait for DynamoDB and Redis. */
  commandInvocationMs: 15,
  reportInvocationMs: 40,
  readInvocationMs: 8,
  scheduledInvocationMs: 100,
  /**
   * Two for the queue row with its outbox (under 2 KB) and two for its entry in the due index,
   * which is removed and added. Half of the commands finish a task, which writes history and stats.
   */
  writeUnitsPerCommand: 2 + 2 + 0.5 * 2,
  /** A progress row. One report in twenty crosses a milestone and is committed. */
  writeUnitsPerReport: 1 + 0.05 * 4,
  /** Lookups that miss both caches read a queue and its progress with strong consistency. */
  missRate: 0.05,
  /** The same without a shared cache: local caches find a player again only where it was before. */
  missRateOfLocalCache: 0.6,
  readUnitsPerMiss: 2,
  /** An ECPU is 1 KB that is read or written. A lookup reads a copy, a commit writes one. */
  ecpuPerRead: 4,
  ecpuPerWrite: 4,
  /**
   * Half of the commands queue a task, which also starts and completes. One report in twenty
   * crosses a milestone.
   */
  eventsPerCommand: 0.5 * 3,
  eventsPerReport: 0.05,
  /** The events of a commit are one row, which is under 1 KB for most commits. */
  eventWriteUnitsPerCommand: 1,
  eventWriteUnitsPerReport: 0.05,
  /**
   * A commit with events writes the row of the totals, which says that they are published. Half of
   * the commands write it anyway. A load from the table reads it too.
   */
  publishedWriteUnitsPerCommand: 0.5,
  publishedWriteUnitsPerReport: 0.05,
  publishedReadUnitsPerMiss: 1,
  /** A run of advance-queues reads each shard of the due index, also when nothing is due. */
  readUnitsPerRun: 16 * 0.5,
  /** One request to send, and shares of the requests that receive and delete several messages. */
  requestsPerMessage: 1.5,
  /** Lambda polls an empty queue with five pollers that wait 20 s each. */
  emptyReceives: (5 * 3600 * HOURS_PER_MONTH) / 20,
  /** The line of metrics and the lines of Lambda. */
  logBytesPerInvocation: 2700,
  /** The same of a read, which measures less. */
  logBytesPerRead: 1700,
  accessLogBytes: 400,
  /** X-Ray samples one request a second and 5 % of the others. */
  tracedShare: 0.05,
  zones: 3,
};

/** Dollars by item. */
export type Costs = Record<string, number>;

export function monthlyCosts(settings: Settings, codeDirectory: string, load: Load): Costs {
  const runs = MINUTES_PER_MONTH / ADVANCE_INTERVAL.toMinutes();
  const scheduled = runs + runsOfUpkeep(settings);
  const invocations = {
    commands: load.commands / ASSUMPTIONS.commandsPerInvocation,
    reports: load.reports / ASSUMPTIONS.reportsPerInvocation,
    reads: load.reads,
    scheduled,
  };
  const allInvocations = sum(Object.values(invocations));
  const lookups = load.commands + load.reports + load.reads;
  const events = load.commands * ASSUMPTIONS.eventsPerCommand + load.reports * ASSUMPTIONS.eventsPerReport;
  const unitsPerMiss =
    ASSUMPTIONS.readUnitsPerMiss + (publishes(settings.events) ? ASSUMPTIONS.publishedReadUnitsPerMiss : 0);
  const missRate = settings.cache.kind === 'none' ? ASSUMPTIONS.missRateOfLocalCache : ASSUMPTIONS.missRate;
  const readUnits = lookups * missRate * unitsPerMiss + runs * ASSUMPTIONS.readUnitsPerRun;
  return {
    'Cache': cacheCosts(settings.cache, load),
    'Interface endpoints': endpointsOf(settings) * ASSUMPTIONS.zones * prices.endpointHour * HOURS_PER_MONTH,
    'Lambda':
      allInvocations * prices.lambdaRequest + gbSeconds(settings.functions, invocations) * prices.lambdaGbSecond,
    'DynamoDB: writes': writeUnits(settings.events, load) * prices.writeUnit,
    'DynamoDB: reads': readUnits * prices.readUnit,
    'DynamoDB: storage and recovery': load.storedGb * (prices.tableGbMonth + prices.recoveryGbMonth),
    'SQS': sqsCosts(load) + (settings.events.queue ? events * ASSUMPTIONS.requestsPerMessage * prices.fifoRequest : 0),
    'Events on the bus': settings.events.bus ? events * prices.publishedEvent : 0,
    'HTTP API': load.reads * prices.httpRequest,
    'Schedules': scheduled * prices.scheduledInvocation,
    'Alarms, metrics, dashboard': monitoringCosts(settings, codeDirectory),
    'Logs and traces': costsOfLogs(allInvocations, load.reads),
    'Key': settings.hasKey ? prices.key : 0,
  };
}

/** Upkeep, and watching thresholds where advance-queues cannot. */
function runsOfUpkeep({ cache, ticks }: Settings): number {
  const watches = cache.kind !== 'none' && ticks === 'queue';
  return (
    MINUTES_PER_MONTH / UPKEEP_INTERVAL.toMinutes() + (watches ? MINUTES_PER_MONTH / WATCH_INTERVAL.toMinutes() : 0)
  );
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Without a shared cache there is no network. The costs of managed instances are not included. */
function endpointsOf({ cache, events, managedInstances }: Settings): number {
  const ofInstances = managedInstances === undefined ? 0 : 2;
  return cache.kind === 'none' ? 0 : [events.queue, events.bus].filter(Boolean).length + ofInstances;
}

function writeUnits(events: Settings['events'], { commands, reports }: Load): number {
  const units = (perCommand: number, perReport: number) => commands * perCommand + reports * perReport;
  const { eventWriteUnitsPerCommand, eventWriteUnitsPerReport } = ASSUMPTIONS;
  const { publishedWriteUnitsPerCommand, publishedWriteUnitsPerReport } = ASSUMPTIONS;
  return (
    units(ASSUMPTIONS.writeUnitsPerCommand, ASSUMPTIONS.writeUnitsPerReport) +
    (events.table ? units(eventWriteUnitsPerCommand, eventWriteUnitsPerReport) : 0) +
    (publishes(events) ? units(publishedWriteUnitsPerCommand, publishedWriteUnitsPerReport) : 0)
  );
}

function publishes({ bus, queue, table }: Settings['events']): boolean {
  return bus || queue || table;
}

function cacheCosts(cache: Settings['cache'], load: Load): number {
  switch (cache.kind) {
    case 'none':
      return 0;
    case 'serverless':
      return serverlessCosts(load);
    case 'nodes':
      return nodeCosts(cache);
  }
}

function serverlessCosts({ commands, reports, reads, cachedGb }: Load): number {
  const { ecpuPerRead, ecpuPerWrite } = ASSUMPTIONS;
  const ecpu = (commands + reports + reads) * ecpuPerRead + (commands + reports) * ecpuPerWrite;
  const storedGb = Math.max(cachedGb, prices.serverlessMinimumGb);
  return storedGb * prices.serverlessGbHour * HOURS_PER_MONTH + ecpu * prices.ecpu;
}

function nodeCosts({ nodeType, engine, shards, replicas }: NodeCacheSettings): number {
  const nodePrice = prices.cacheNodeHour[nodeType];
  if (nodePrice === undefined) {
    throw new Error(`costs/prices.ts has no price of ${nodeType}`);
  }
  const factor = engine === 'valkey' ? prices.valkeyFactor : 1;
  return shards * (replicas + 1) * nodePrice * factor * HOURS_PER_MONTH;
}

function gbSeconds(
  functions: Settings['functions'],
  invocations: Record<'commands' | 'reports' | 'reads' | 'scheduled', number>,
): number {
  const used = (name: FunctionName, count: number, durationMs: number) =>
    ((count * durationMs) / 1000) * (functions[name].memoryMiB / 1024);
  return (
    used('process-tasks', invocations.commands, ASSUMPTIONS.commandInvocationMs) +
    used('process-tasks', invocations.reports, ASSUMPTIONS.reportInvocationMs) +
    used('queue-api', invocations.reads, ASSUMPTIONS.readInvocationMs) +
    used('advance-queues', invocations.scheduled, ASSUMPTIONS.scheduledInvocationMs)
  );
}

function sqsCosts({ commands, reports }: Load): number {
  const { requestsPerMessage, emptyReceives } = ASSUMPTIONS;
  return (
    commands * requestsPerMessage * prices.fifoRequest +
    reports * requestsPerMessage * prices.standardRequest +
    // The commands queue is FIFO, those of progress and ticks are not.
    emptyReceives * (prices.fifoRequest + 2 * prices.standardRequest)
  );
}

/** The line of a request is that of a read. */
export function costsOfLogs(invocations: number, requests: number): number {
  const { logBytesPerInvocation, logBytesPerRead, accessLogBytes, tracedShare } = ASSUMPTIONS;
  const logGb =
    ((invocations - requests) * logBytesPerInvocation + requests * (logBytesPerRead + accessLogBytes)) / 1e9;
  return logGb * prices.logGb + invocations * tracedShare * prices.trace;
}

function monitoringCosts(settings: Settings, codeDirectory: string): number {
  const alarms = alarmMetricsOf(settings, codeDirectory) * prices.alarmMetric;
  return settings.monitoring === 'basic'
    ? alarms
    : alarms + prices.compositeAlarm + customMetrics() * prices.customMetric + prices.dashboard;
}

/** A metric is billed for each value of its dimensions. */
function customMetrics(): number {
  return sum(
    PUBLISHED_METRICS.map(({ dimensions = [] }) => (dimensions.includes('function_name') ? FUNCTION_NAMES.length : 1)),
  );
}

/** By settings: a synthesis takes a second. */
const alarmMetrics = new Map<Settings, number>();

/** The number of metrics of all alarms, from the synthesized template. */
function alarmMetricsOf(settings: Settings, codeDirectory: string): number {
  const known = alarmMetrics.get(settings);
  if (known !== undefined) {
    return known;
  }
  const template = Template.fromStack(new MillraceStack(createApp({ checked: false }), { settings, codeDirectory }));
  const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm')) as {
    Properties: { Metrics?: { MetricStat?: object }[] };
  }[];
  const count = sum(
    alarms.map(
      ({ Properties }) => Properties.Metrics?.filter(({ MetricStat }) => MetricStat !== undefined).length ?? 1,
    ),
  );
  alarmMetrics.set(settings, count);
  return count;
}
