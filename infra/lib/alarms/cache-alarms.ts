// Alarms on the nodes of the shared cache.

import { cacheMetric, combinedMetric } from '../aws-metrics.ts';
import type { Cache } from '../cache.ts';
import type { AlarmDefinition } from './definition.ts';

export function cacheAlarms(cache: Cache): AlarmDefinition[] {
  const hasShards = cache.nodes.length > 1;
  return cache.nodes.flatMap((nodes, shard) => nodeAlarms(nodes, hasShards ? `-${shard + 1}` : ''));
}

/** Alarms over all nodes of a shard, because any of them can become the primary. */
function nodeAlarms(nodes: string[], suffix: string): AlarmDefinition[] {
  const overNodes = (operation: 'MAX' | 'SUM', metricName: string, statistic: string) =>
    combinedMetric(
      operation,
      nodes.map((node) => cacheMetric(node, metricName, statistic)),
      `${metricName} of any node`,
    );
  const alarms: AlarmDefinition[] = [
    {
      name: `cache-cpu${suffix}`,
      metric: overNodes('MAX', 'EngineCPUUtilization', 'Average'),
      threshold: 75,
      datapoints: [4, 5],
      meaning:
        'The engine thread of a cache node is busy for more than 75 % of the time. Answers become slow above that.',
      runbook: 'cache-cpu',
    },
    {
      name: `cache-memory${suffix}`,
      metric: overNodes('MAX', 'DatabaseMemoryUsagePercentage', 'Maximum'),
      threshold: 85,
      datapoints: [5, 5],
      meaning: 'The cache uses more than 85 % of its memory. It will soon evict copies that are still needed.',
      runbook: 'cache-memory',
    },
    {
      name: `cache-evictions${suffix}`,
      metric: overNodes('SUM', 'Evictions', 'Sum'),
      threshold: 1000,
      datapoints: [4, 5],
      meaning: 'The cache evicts copies before they expire. These queues are read from DynamoDB instead.',
      runbook: 'cache-memory',
    },
    {
      name: `cache-connections${suffix}`,
      metric: overNodes('MAX', 'CurrConnections', 'Maximum'),
      threshold: 10_000,
      datapoints: [5, 5],
      meaning: 'A cache node has far more connections than the functions should open. It accepts at most 65,000.',
      runbook: 'cache-connections',
    },
  ];
  if (nodes.length > 1) {
    alarms.push({
      name: `cache-replication-lag${suffix}`,
      metric: overNodes('MAX', 'ReplicationLag', 'Maximum'),
      threshold: 10,
      datapoints: [5, 5],
      meaning: 'A replica is more than 10 s behind its primary. After a failover it would serve stale copies.',
      runbook: 'cache-replication-lag',
    });
  }
  return alarms;
}
