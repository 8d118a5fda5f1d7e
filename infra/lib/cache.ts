// The shared cache: ElastiCache over TLS. Functions log in with IAM tokens. A user of the cache may
// run only the commands of its functions, on the keys of this deployment.

import { ArnFormat, Fn, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Settings } from './settings.ts';

/** Not the default port, which scanners for open caches try. */
export const CACHE_PORT = 6380;

/** The Redis commands that every function sends (shared/cache). Every user may also log in. */
const COMMANDS = [
  'get',
  'getex',
  'mget',
  'set',
  'getrange',
  'del',
  'evalsha',
  'script|load',
  'info',
  'ping',
  'cluster|slots',
  'asking',
  // The set of active players, for warm-up.
  'zadd',
  'zremrangebyrank',
  'pexpire',
  // The performance history, and changes of its thresholds.
  'bitfield',
  'publish',
];

/** The additional Redis commands of upkeep. */
const UPKEEP_COMMANDS = ['scan', 'unlink', 'pttl', 'dbsize', 'zrevrangebyscore', 'zremrangebyscore'];

/** `tasks` reads and writes copies of queues. `upkeep` may also list and delete all keys. */
export type CacheUser = 'tasks' | 'upkeep';

export interface CacheProps {
  prefix: string;
  settings: Settings['cache'];
  vpc: ec2.IVpc;
  securityGroup: ec2.ISecurityGroup;
  key: kms.IKey;
  logRetention: logs.RetentionDays;
}

export class Cache extends Construct {
  /** Name of the replication group. IAM tokens are issued for this name. */
  readonly name: string;
  readonly mode: 'standalone' | 'cluster';
  private readonly group: elasticache.CfnReplicationGroup;
  private readonly users: Record<CacheUser, elasticache.CfnUser>;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: CacheProps,
  ) {
    super(scope, id);
    this.name = `${props.prefix}cache`;
    this.mode = props.settings.shards > 1 ? 'cluster' : 'standalone';
    const subnetGroup = new elasticache.CfnSubnetGroup(this, 'Subnets', {
      description: 'Millrace cache',
      cacheSubnetGroupName: this.name,
      subnetIds: props.vpc.isolatedSubnets.map((subnet) => subnet.subnetId),
    });
    this.users = {
      tasks: this.addUser('tasks', COMMANDS),
      upkeep: this.addUser('upkeep', [...COMMANDS, ...UPKEEP_COMMANDS]),
    };
    const userGroup = this.addUserGroup();
    this.group = this.addReplicationGroup(subnetGroup, userGroup, this.addParameterGroup());
    this.acknowledgeFindings();
  }

  /** The endpoint for functions, with the name of a user. */
  url(user: CacheUser): string {
    const { group } = this;
    const [address, port] =
      this.mode === 'cluster'
        ? [group.attrConfigurationEndPointAddress, group.attrConfigurationEndPointPort]
        : [group.attrPrimaryEndPointAddress, group.attrPrimaryEndPointPort];
    return Fn.join('', ['rediss://', this.users[user].userName, '@', address, ':', port]);
  }

  /** The host name of the endpoint, for operators. */
  get endpoint(): string {
    return this.mode === 'cluster'
      ? this.group.attrConfigurationEndPointAddress
      : this.group.attrPrimaryEndPointAddress;
  }

  /** Allows a role to log in as a user. */
  grantConnect(grantee: iam.IGrantable, user: CacheUser): void {
    const arn = (resource: string, resourceName: string) =>
      Stack.of(this).formatArn({
        service: 'elasticache',
        resource,
        resourceName,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      });
    grantee.grantPrincipal.addToPrincipalPolicy(
      new iam.PolicyStatement({
        actions: ['elasticache:Connect'],
        resources: [arn('replicationgroup', this.name), arn('user', this.users[user].userName)],
      }),
    );
  }

  /**
   * Names of the nodes by shard, as metrics have them. A failover makes another node the primary.
   */
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

  private addUser(name: CacheUser, commands: string[]): elasticache.CfnUser {
    const { prefix, settings } = this.props;
    return new elasticache.CfnUser(this, `User-${name}`, {
      engine: settings.engine,
      // IAM authentication requires the id and the name to be equal.
      userId: `${prefix}${name}`,
      userName: `${prefix}${name}`,
      authenticationMode: { Type: 'iam' },
      accessString: `on ~${prefix}* resetchannels &${prefix}thresholds -@all ${commands.map((command) => `+${command}`).join(' ')}`,
    });
  }

  private addUserGroup(): elasticache.CfnUserGroup {
    const { prefix, settings } = this.props;
    const members = Object.values(this.users);
    if (settings.engine === 'redis') {
      // A user group of Redis must have a user with the name default. This one cannot log in.
      members.push(
        new elasticache.CfnUser(this, 'User-default', {
          engine: settings.engine,
          userId: `${prefix}default`,
          userName: 'default',
          authenticationMode: { Type: 'no-password-required' },
          accessString: 'off ~* -@all',
        }),
      );
    }
    return new elasticache.CfnUserGroup(this, 'Users', {
      engine: settings.engine,
      userGroupId: `${prefix}users`,
      userIds: members.map((member) => member.ref),
    });
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
    userGroup: elasticache.CfnUserGroup,
    parameterGroup: elasticache.CfnParameterGroup,
  ): elasticache.CfnReplicationGroup {
    const { settings, key, securityGroup } = this.props;
    const isCluster = this.mode === 'cluster';
    const hasReplicas = settings.replicas > 0;
    return new elasticache.CfnReplicationGroup(this, 'Group', {
      replicationGroupId: this.name,
      replicationGroupDescription: 'Copies of Millrace queues',
      engine: settings.engine,
      engineVersion: settings.engineVersion,
      cacheNodeType: settings.nodeType,
      port: CACHE_PORT,
      ...(isCluster
        ? { numNodeGroups: settings.shards, replicasPerNodeGroup: settings.replicas }
        : { numCacheClusters: settings.replicas + 1 }),
      // AWS requires it in cluster mode, even without replicas.
      automaticFailoverEnabled: hasReplicas || isCluster,
      multiAzEnabled: hasReplicas,
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      kmsKeyId: key.keyArn,
      userGroupIds: [userGroup.ref],
      cacheParameterGroupName: parameterGroup.ref,
      cacheSubnetGroupName: subnetGroup.ref,
      securityGroupIds: [securityGroup.securityGroupId],
      // Copies need no backup. With a snapshot, a new cache does not start empty.
      snapshotRetentionLimit: settings.snapshotDays,
      ...(settings.snapshotDays > 0 && { snapshotWindow: settings.snapshotWindow }),
      preferredMaintenanceWindow: settings.maintenanceWindow,
      autoMinorVersionUpgrade: true,
      logDeliveryConfigurations: [this.addLog('slow-log'), this.addLog('engine-log')],
    });
  }

  private addLog(type: 'slow-log' | 'engine-log') {
    const logGroup = new logs.LogGroup(this, type, {
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
