// The shared cache as a replication group of ElastiCache: nodes of a certain size, billed by the
// hour.

import { RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { idOf } from './construct-ids.ts';
import { Cache, type CacheProps } from './cache.ts';
import type { NodeCacheSettings } from './settings.ts';

/** Not the default port, which scanners for open caches try. */
const PORT = 6380;
export const NODE_CACHE_PORTS = ec2.Port.tcp(PORT);

export class NodeCache extends Cache {
  protected readonly mode: 'standalone' | 'cluster';
  protected readonly kind = 'nodes';
  protected readonly resourceType = 'replicationgroup';
  private readonly group: elasticache.CfnReplicationGroup;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: CacheProps<NodeCacheSettings>,
  ) {
    super(scope, id, props.prefix, props.settings.engine);
    this.mode = props.settings.shards > 1 ? 'cluster' : 'standalone';
    const subnetGroup = new elasticache.CfnSubnetGroup(this, 'Subnets', {
      description: 'Millrace cache',
      cacheSubnetGroupName: this.name,
      subnetIds: props.subnets.map((subnet) => subnet.subnetId),
    });
    this.group = this.addReplicationGroup(subnetGroup, this.addParameterGroup());
    this.acknowledgeFindings();
  }

  get endpoint(): string {
    return this.mode === 'cluster'
      ? this.group.attrConfigurationEndPointAddress
      : this.group.attrPrimaryEndPointAddress;
  }

  get nodes(): string[][] {
    const { shards, replicas } = this.props.settings;
    return Array.from({ length: shards }, (_shard, shard) =>
      Array.from({ length: replicas + 1 }, (_node, node) =>
        this.mode === 'cluster'
          ? `${this.name}-${zeroPadded(shard + 1, 4)}-${zeroPadded(node + 1, 3)}`
          : `${this.name}-${zeroPadded(node + 1, 3)}`,
      ),
    );
  }

  protected get port(): string {
    return this.mode === 'cluster' ? this.group.attrConfigurationEndPointPort : this.group.attrPrimaryEndPointPort;
  }

  private addParameterGroup(): elasticache.CfnParameterGroup {
    const { engine, engineVersion } = this.props.settings;
    return new elasticache.CfnParameterGroup(this, 'Parameters', {
      description: 'Millrace cache',
      cacheParameterGroupFamily: `${engine}${engineVersion.split('.')[0]}`,
      properties: {
        // Every key is a copy, so the least recently used one can be evicted. The default,
        // `volatile-lru`, would never evict a key that has no time to live.
        'maxmemory-policy': 'allkeys-lru',
        // Replication and snapshots copy what changes meanwhile, and need a quarter of the memory.
        'reserved-memory-percent': '25',
        // An execution environment ends without closing its connections. Closing idle connections
        // after ten minutes keeps these from adding up. An environment that was only frozen opens
        // another connection.
        'timeout': '600',
        'tcp-keepalive': '60',
        // Copies are replaced by copies of other sizes all the time, which fragments the memory.
        'activedefrag': 'yes',
        // In µs. Functions wait at most 200 ms for an answer, and a command blocks all others.
        'slowlog-log-slower-than': '10000',
        'slowlog-max-len': '256',
        ...(this.mode === 'cluster' && { 'cluster-enabled': 'yes' }),
      },
    });
  }

  private addReplicationGroup(
    subnetGroup: elasticache.CfnSubnetGroup,
    parameterGroup: elasticache.CfnParameterGroup,
  ): elasticache.CfnReplicationGroup {
    const { settings, key, securityGroup, eventsTopicArn } = this.props;
    const isCluster = this.mode === 'cluster';
    const hasReplicas = settings.replicas > 0;
    return new elasticache.CfnReplicationGroup(this, 'Group', {
      replicationGroupId: this.name,
      replicationGroupDescription: 'Copies of Millrace queues',
      engine: settings.engine,
      engineVersion: settings.engineVersion,
      cacheNodeType: settings.nodeType,
      port: PORT,
      ...(isCluster
        ? { numNodeGroups: settings.shards, replicasPerNodeGroup: settings.replicas }
        : { numCacheClusters: settings.replicas + 1 }),
      // AWS requires it in cluster mode, even without replicas.
      automaticFailoverEnabled: hasReplicas || isCluster,
      multiAzEnabled: hasReplicas,
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      ...(key !== undefined && { kmsKeyId: key.keyArn }),
      userGroupIds: [this.users.group.ref],
      cacheParameterGroupName: parameterGroup.ref,
      cacheSubnetGroupName: subnetGroup.ref,
      securityGroupIds: [securityGroup.securityGroupId],
      // Copies need no backup. With a snapshot, a new cache does not start empty.
      snapshotRetentionLimit: settings.snapshotDays,
      ...(settings.snapshotDays > 0 && { snapshotWindow: settings.snapshotWindow }),
      preferredMaintenanceWindow: settings.maintenanceWindow,
      ...(eventsTopicArn !== undefined && { notificationTopicArn: eventsTopicArn }),
      autoMinorVersionUpgrade: true,
      logDeliveryConfigurations: [this.addLog('slow-log'), this.addLog('engine-log')],
    });
  }

  private addLog(type: 'slow-log' | 'engine-log') {
    const logGroup = new logs.LogGroup(this, idOf(type), {
      logGroupName: `/aws/elasticache/${this.name}/${type}`,
      retention: this.props.logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    return {
      logType: type,
      logFormat: 'json',
      destinationType: 'cloudwatch-logs',
      destinationDetails: { cloudWatchLogsDetails: { logGroup: logGroup.logGroupName } },
    };
  }

  /** Tells cdk-nag why the replication group differs from two of its rules. */
  private acknowledgeFindings(): void {
    Validations.of(this.group).acknowledge({
      id: 'AwsSolutions-AEC6',
      reason: 'Users log in with IAM tokens that expire after 15 minutes. A user group replaces the shared AUTH token.',
    });
    if (this.props.settings.replicas === 0) {
      Validations.of(this.group).acknowledge({
        id: 'AwsSolutions-AEC4',
        reason: 'This stage has one node on purpose. While the cache is lost, queues are read from the tables.',
      });
    }
  }
}

function zeroPadded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
