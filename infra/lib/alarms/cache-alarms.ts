// Alarms on the nodes of a shared cache.

import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { cacheMetric, combinedMetric } from '../aws-metrics.ts';
import type { Cache } from '../cache.ts';
import type { NodeCacheSettings } from '../settings.ts';
import type { AlarmDefinition } from './definition.ts';

const { LESS_THAN_THRESHOLD } = cloudwatch.ComparisonOperator;

/** Below this the operating system swaps or stops processes. */
const FREEABLE_BYTES = 100e6;
/** A node of a T type uses one credit for a minute of one vCPU. */
const CPU_CREDITS = 20;
/** The engine has one thread. Its share of two vCPUs is a half, and 90 % of that is 45 %. */
const BUSY_PERCENT_OF_TWO_VCPUS = 45;

/** What ElastiCache counts where a node may not carry more. */
const ALLOWANCES = {
  in: { metricName: 'NetworkBandwidthInAllowanceExceeded', of: 'incoming bandwidth' },
  out: { metricName: 'NetworkBandwidthOutAllowanceExceeded', of: 'outgoing bandwidth' },
  packets: { metricName: 'NetworkPacketsPerSecondAllowanceExceeded', of: 'packets a second' },
  connections: { metricName: 'NetworkConntrackAllowanceExceeded', of: 'tracked connections' },
};

/**
 * The alarm on failed logins. Without its metric: nodes and serverless caches have different ones.
 */
export const AUTHENTICATION_ALARM: Omit<AlarmDefinition, 'metric'> = {
  name: 'cache-authentication',
  threshold: 10,
  datapoints: [3, 5],
  meaning: 'Logins to the cache fail. Functions whose tokens are refused work without the cache.',
  runbook: 'cache-authentication',
};

/** One metric over all nodes of a shard. */
type OverNodes = (operation: 'MAX' | 'MIN' | 'SUM', metricName: string, statistic: string) => cloudwatch.IMetric;

export function nodeCacheAlarms(cache: Cache, settings: NodeCacheSettings): AlarmDefinition[] {
  const hasShards = cache.nodes.length > 1;
  return cache.nodes.flatMap((nodes, shard) => {
    const suffix = hasShards ? `-${shard + 1}` : '';
    // Any node can become the primary.
    const overNodes: OverNodes = (operation, metricName, statistic) =>
      combinedMetric(
        operation,
        nodes.map((node) => cacheMetric(node, metricName, statistic)),
        `${metricName} of any node`,
      );
    const alarms = [
      cpuAlarm(overNodes, settings.nodeType),
      ...(isBurstable(settings.nodeType) ? [creditsAlarm(overNodes)] : []),
      ...memoryAlarms(overNodes),
      ...connectionAlarms(overNodes),
      ...networkAlarms(overNodes),
      ...(nodes.length > 1 ? [replicationAlarm(overNodes)] : []),
    ];
    return alarms.map((alarm) => ({ ...alarm, name: `${alarm.name}${suffix}` }));
  });
}

/** Whether a node type has at most two vCPUs. AWS advises other metrics for these. */
export function isSmall(nodeType: string): boolean {
  return /\.(micro|small|medium|large)$/.test(nodeType);
}

function isBurstable(nodeType: string): boolean {
  return nodeType.startsWith('cache.t');
}

function cpuAlarm(overNodes: OverNodes, nodeType: string): AlarmDefinition {
  const common = { name: 'cache-cpu', datapoints: [4, 5] satisfies [number, number], runbook: 'cache-cpu' };
  if (isSmall(nodeType)) {
    return {
      ...common,
      metric: overNodes('MAX', 'CPUUtilization', 'Average'),
      threshold: BUSY_PERCENT_OF_TWO_VCPUS,
      meaning: 'A cache node uses more than 45 % of its two vCPUs. Its engine has one thread, which is nearly busy.',
    };
  }
  return {
    ...common,
    metric: overNodes('MAX', 'EngineCPUUtilization', 'Average'),
    threshold: 75,
    meaning:
      'The engine thread of a cache node is busy for more than 75 % of the time. Answers become slow above that.',
  };
}

/** ElastiCache publishes the balance every five minutes. */
function creditsAlarm(overNodes: OverNodes): AlarmDefinition {
  return {
    name: 'cache-cpu-credits',
    metric: overNodes('MIN', 'CPUCreditBalance', 'Minimum'),
    threshold: CPU_CREDITS,
    comparison: LESS_THAN_THRESHOLD,
    datapoints: [1, 5],
    meaning: 'A cache node has nearly used up its CPU credits. Without them it slows down or costs more.',
    runbook: 'cache-cpu',
  };
}

function memoryAlarms(overNodes: OverNodes): AlarmDefinition[] {
  return [
    {
      name: 'cache-memory',
      metric: overNodes('MAX', 'DatabaseMemoryUsagePercentage', 'Maximum'),
      threshold: 85,
      datapoints: [5, 5],
      meaning: 'The cache uses more than 85 % of its memory. It will soon evict copies that are still needed.',
      runbook: 'cache-memory',
    },
    {
      name: 'cache-freeable-memory',
      metric: overNodes('MIN', 'FreeableMemory', 'Minimum'),
      threshold: FREEABLE_BYTES,
      comparison: LESS_THAN_THRESHOLD,
      datapoints: [5, 5],
      meaning: 'A cache node has less than 100 MB of memory outside of the engine. It may swap, or be replaced.',
      runbook: 'cache-memory',
    },
    {
      name: 'cache-evictions',
      metric: overNodes('SUM', 'Evictions', 'Sum'),
      threshold: 1000,
      datapoints: [4, 5],
      meaning: 'The cache evicts copies before they expire. These queues are read from DynamoDB instead.',
      runbook: 'cache-memory',
    },
  ];
}

function connectionAlarms(overNodes: OverNodes): AlarmDefinition[] {
  return [
    {
      name: 'cache-connections',
      metric: overNodes('MAX', 'CurrConnections', 'Maximum'),
      threshold: 10_000,
      datapoints: [5, 5],
      meaning: 'A cache node has far more connections than the functions should open. It accepts at most 65,000.',
      runbook: 'cache-connections',
    },
    { ...AUTHENTICATION_ALARM, metric: overNodes('SUM', 'AuthenticationFailures', 'Sum') },
  ];
}

function networkAlarms(overNodes: OverNodes): AlarmDefinition[] {
  return Object.entries(ALLOWANCES).map(([name, { metricName, of }]) => ({
    name: `cache-network-${name}`,
    metric: overNodes('SUM', metricName, 'Sum'),
    threshold: 0,
    datapoints: [3, 5],
    meaning: `A cache node has exceeded the ${of} of its type. Packets wait or are dropped.`,
    runbook: 'cache-network',
  }));
}

function replicationAlarm(overNodes: OverNodes): AlarmDefinition {
  return {
    name: 'cache-replication-lag',
    metric: overNodes('MAX', 'ReplicationLag', 'Maximum'),
    threshold: 10,
    datapoints: [5, 5],
    meaning: 'A replica is more than 10 s behind its primary. After a failover it would serve stale copies.',
    runbook: 'cache-replication-lag',
  };
}
