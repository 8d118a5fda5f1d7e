// The most that callers of the HTTP API can cost in an hour. The limits of the stage and of AWS
// bound it, so it does not depend on what the callers send.
//
// One player is bounded by its keys: DynamoDB gives one partition 1,000 write units and 3,000 read
// units a second.

import type { Settings } from '../lib/settings.ts';
import { TABLE_NAMES } from '../lib/tables.ts';
import { type Costs, costsOfLogs } from './model.ts';
import { prices } from './prices.ts';

const SECONDS = 3600;

const QUOTAS = {
  /** Of an account, unless more is requested. */
  concurrency: 1_000,
  /** Of EventBridge in us-east-1. */
  eventsPerSecond: 10_000,
  writeUnitsOfPartition: 1_000,
  readUnitsOfPartition: 3_000,
};

/** The tables, and the index of the queues table. */
const PARTITIONS_OF_PLAYER = TABLE_NAMES.length + 1;

/** The largest queue is read and written. An ECPU is 1 KB. */
const ECPU_PER_REQUEST = 2 * 300;

/** A player who sends commands as fast as the API accepts them. */
export function worstHourOfPlayer(settings: Settings): Costs {
  const { requestsPerSecond } = settings.api;
  return { ...costsOfRequests(settings, requestsPerSecond), ...costsOfKeys(settings) };
}

/** A caller without a token, for whom only the health check is open. It reads one row. */
export function worstHourOfStranger(settings: Settings): Costs {
  const requestsPerSecond = 2 * settings.api.healthRequestsPerSecond;
  const reads = requestsPerSecond * SECONDS * prices.readUnit;
  return { ...costsOfRequests(settings, requestsPerSecond), 'DynamoDB: reads': reads };
}

function costsOfRequests({ functions, cache }: Settings, requestsPerSecond: number): Costs {
  const { memoryMiB, timeoutSeconds, reservedConcurrency } = functions['queue-api'];
  const requests = requestsPerSecond * SECONDS;
  const instances = Math.min(reservedConcurrency ?? QUOTAS.concurrency, requestsPerSecond * timeoutSeconds);
  const gbSeconds = instances * (memoryMiB / 1024) * SECONDS;
  return {
    'HTTP API': requests * prices.httpRequest,
    'Lambda': requests * prices.lambdaRequest + gbSeconds * prices.lambdaGbSecond,
    'Logs and traces': costsOfLogs(requests, requests),
    'Cache': cache.kind === 'serverless' ? costsOfEcpu(requests, cache.maximum?.ecpuPerSecond) : 0,
  };
}

function costsOfEcpu(requests: number, maximumPerSecond: number = Infinity): number {
  return Math.min(requests * ECPU_PER_REQUEST, maximumPerSecond * SECONDS) * prices.ecpu;
}

function costsOfKeys({ tables, events }: Settings): Costs {
  const writeUnits = Math.min(QUOTAS.writeUnitsOfPartition, tables.maxWriteUnits ?? Infinity);
  const readUnits = Math.min(QUOTAS.readUnitsOfPartition, tables.maxReadUnits ?? Infinity);
  return {
    'DynamoDB: writes': PARTITIONS_OF_PLAYER * writeUnits * SECONDS * prices.writeUnit,
    'DynamoDB: reads': PARTITIONS_OF_PLAYER * readUnits * SECONDS * prices.readUnit,
    'Events on the bus': events.bus ? QUOTAS.eventsPerSecond * SECONDS * prices.publishedEvent : 0,
  };
}
