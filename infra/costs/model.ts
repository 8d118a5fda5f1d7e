// What a month costs: what is there anyway, and what each command, report and read takes.

import { Template } from 'aws-cdk-lib/assertions';
import { createApp } from '../lib/app.ts';
import { METRICS } from '../lib/metrics.ts';
import { ADVANCE_INTERVAL, UPKEEP_INTERVAL } from '../lib/intervals.ts';
import type { Settings } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';
import { HOURS, prices } from './prices.ts';

/** How much is played in a month. */
export interface Load {
  commands: number;
  reports: number;
  reads: number;
  storedGb: number;
}

export const IDLE: Load = { commands: 0, reports: 0, reads: 0, storedGb: 0 };

/** 50,000 players a day, of whom each sends 20 commands and 100 reports and reads 30 times. */
const PLAYER_DAYS = 50_000 * 30;
export const BUSY: Load = {
  commands: PLAYER_DAYS * 20,
  reports: PLAYER_DAYS * 100,
  reads: PLAYER_DAYS * 30,
  storedGb: 40,
};

/** What is assumed about the way of an event. */
export const assumed = {
  /** Messages of an invocation: a FIFO batch is small where players come one by one; a second of reports is not. */
  commandsPerInvocation: 3,
  reportsPerInvocation: 50,
  /** Billed, with waiting for DynamoDB and Redis. */
  commandInvocationMs: 15,
  reportInvocationMs: 40,
  readInvocationMs: 8,
  /** Of a queue's row with its outbox (under 2 KB), of its entry in the index (away and back), and of history and totals
   *  for the half of the commands that lead to the end of a task. */
  writeUnitsPerCommand: 2 + 2 + 0.5 * 2,
  /** A row of progress; one in twenty crosses a milestone and is committed. */
  writeUnitsPerReport: 1 + 0.05 * 4,
  /** Of lookups that no cache answers: a queue and its progress, strongly consistent. */
  missRate: 0.05,
  readUnitsPerMiss: 2,
  /** SQS: sent, and received and deleted with others. */
  requestsPerMessage: 1.5,
  /** Lambda asks each queue so often when it is empty: five askers, 20 s each. */
  emptyReceives: (5 * 3600 * HOURS) / 20,
  /** One line for each invocation, and those of Lambda. */
  logBytesPerInvocation: 1200,
  accessLogBytes: 400,
  /** X-Ray takes one a second and 5 % of the rest; more often than one a second, about 5 %. */
  traced: 0.05,
};

const counted = new Map<Settings, number>();

/** How many metrics the alarms of a stack look at. */
function alarmMetricsOf(settings: Settings, codeDirectory: string): number {
  const known = counted.get(settings);
  if (known !== undefined) {
    return known;
  }
  const template = Template.fromStack(new MillraceStack(createApp({ checked: false }), { settings, codeDirectory }));
  const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm')) as {
    Properties: { Metrics?: { MetricStat?: object }[] };
  }[];
  const metrics = alarms
    .map(({ Properties }) => Properties.Metrics?.filter(({ MetricStat }) => MetricStat !== undefined).length ?? 1)
    .reduce((sum, count) => sum + count, 0);
  counted.set(settings, metrics);
  return metrics;
}

export type Bill = Record<string, number>;

export function bill(settings: Settings, codeDirectory: string, load: Load): Bill {
  const { cache } = settings;
  const node = prices.cacheNodeHour[cache.nodeType];
  if (node === undefined) {
    throw new Error(`costs/prices.ts has no price of ${cache.nodeType}`);
  }
  const factor = cache.engine === 'valkey' ? prices.valkeyFactor : 1;
  const nodes = cache.shards * (cache.replicas + 1);
  const scheduled = (HOURS * 60) / ADVANCE_INTERVAL.toMinutes() + (HOURS * 60) / UPKEEP_INTERVAL.toMinutes();
  const invocations = {
    commands: load.commands / assumed.commandsPerInvocation,
    reports: load.reports / assumed.reportsPerInvocation,
    reads: load.reads,
    scheduled,
  };
  const gbSeconds = (name: keyof Settings['functions'], count: number, ms: number) =>
    ((count * ms) / 1000) * (settings.functions[name].memoryMiB / 1024);
  const compute =
    gbSeconds('process-tasks', invocations.commands, assumed.commandInvocationMs) +
    gbSeconds('process-tasks', invocations.reports, assumed.reportInvocationMs) +
    gbSeconds('queue-api', invocations.reads, assumed.readInvocationMs) +
    gbSeconds('advance-queues', invocations.scheduled, 100);
  const allInvocations = Object.values(invocations).reduce((sum, count) => sum + count, 0);
  const lookups = load.commands + load.reports + load.reads;
  const logGb = (allInvocations * assumed.logBytesPerInvocation + load.reads * assumed.accessLogBytes) / 1e9;

  return {
    'Cache': nodes * node * factor * HOURS,
    'Interface endpoint of SQS': settings.ticks === 'queue' ? 3 * prices.endpointHour * HOURS : 0,
    'Lambda': allInvocations * prices.lambdaRequest + compute * prices.lambdaGbSecond,
    'DynamoDB: writes':
      (load.commands * assumed.writeUnitsPerCommand + load.reports * assumed.writeUnitsPerReport) * prices.writeUnit,
    'DynamoDB: reads':
      // Sixteen shards of what is due, every minute, whether anything is or not.
      (lookups * assumed.missRate * assumed.readUnitsPerMiss + scheduled * 16 * 0.5) * prices.readUnit,
    'DynamoDB: storage and recovery': load.storedGb * (prices.tableGbMonth + prices.recoveryGbMonth),
    'SQS':
      load.commands * assumed.requestsPerMessage * prices.fifoRequest +
      load.reports * assumed.requestsPerMessage * prices.standardRequest +
      assumed.emptyReceives * (prices.fifoRequest + 2 * prices.standardRequest),
    'HTTP API': load.reads * prices.httpRequest,
    'Schedules': scheduled * prices.scheduledInvocation,
    'Alarms, metrics, dashboard':
      alarmMetricsOf(settings, codeDirectory) * prices.alarmMetric +
      prices.compositeAlarm +
      Object.keys(METRICS).length * prices.customMetric +
      prices.dashboard,
    'Logs and traces': logGb * prices.logGb + allInvocations * assumed.traced * prices.trace,
    'Key': prices.key,
  };
}
