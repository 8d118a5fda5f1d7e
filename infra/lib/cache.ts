// The cache that all functions share: ElastiCache, reached with IAM tokens over TLS, by users that may do what their
// function does, on the keys of this deployment.

import { ArnFormat, Fn, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import type { Settings } from './settings.ts';

/** Not the usual one: what looks for open caches looks there. */
export const CACHE_PORT = 6380;

/** What the functions send (shared/cache/src/redis). Logging in is allowed to everybody. */
const COMMANDS = [
  'get',
  'mget',
  'set',
  'getrange',
  'del',
  'evalsha',
  'eval',
  'script|load',
  'info',
  'ping',
  'cluster|slots',
  'asking',
  // Who is active, to be warmed.
  'zadd',
  'zremrangebyrank',
  'pexpire',
  // What the process has done, for those who ask how all are doing.
  'lpush',
  'ltrim',
];
/** What looking after the whole cache takes in addition. */
const UPKEEP_COMMANDS = [
  'scan',
  'unlink',
  'pttl',
  'dbsize',
  'zrevrange',
  'zrevrangebyscore',
  'zremrangebyscore',
  'lrange',
];

/** Who logs in. `tasks` reads and writes copies of queues; `upkeep` also walks over all of them. */
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
  /** Also the name that IAM tokens are made for. */
  readonly name: string;
  readonly mode: 'standalone' | 'cluster';
  private readonly group: elasticache.CfnReplicationGroup;
  private readonly users: Record<CacheUser, elasticache.CfnUser>;
  private readonly shape: { shards: number; nodes: number };

  constructor(scope: Construct, id: string, props: CacheProps) {
    super(scope, id);
    const { prefix, settings } = props;
    const clustered = settings.shards > 1;
    this.name = `${prefix}cache`;
    this.mode = clustered ? 'cluster' : 'standalone';
    this.shape = { shards: settings.shards, nodes: settings.replicas + 1 };

    const subnets = new elasticache.CfnSubnetGroup(this, 'Subnets', {
      description: 'Millrace cache',
      cacheSubnetGroupName: this.name,
      subnetIds: props.vpc.isolatedSubnets.map((subnet) => subnet.subnetId),
    });

    const user = (name: string, commands: string[]) =>
      new elasticache.CfnUser(this, `User-${name}`, {
        engine: settings.engine,
        // With IAM both have to be the same.
        userId: `${prefix}${name}`,
        userName: `${prefix}${name}`,
        authenticationMode: { Type: 'iam' },
        accessString: `on ~${prefix}* resetchannels -@all ${commands.map((command) => `+${command}`).join(' ')}`,
      });
    this.users = { tasks: user('tasks', COMMANDS), upkeep: user('upkeep', [...COMMANDS, ...UPKEEP_COMMANDS]) };
    const members = Object.values(this.users);
    if (settings.engine === 'redis') {
      // A group of Redis users must have one named default. Nobody can be this one.
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
    const userGroup = new elasticache.CfnUserGroup(this, 'Users', {
      engine: settings.engine,
      userGroupId: `${prefix}users`,
      userIds: members.map((member) => member.ref),
    });

    const parameters = new elasticache.CfnParameterGroup(this, 'Parameters', {
      description: 'Millrace cache',
      cacheParameterGroupFamily: `${settings.engine}${settings.engineVersion.split('.')[0]}`,
      properties: {
        // All of it is copies: when memory is short, the copy that was not asked for longest goes. `volatile-lru`,
        // the default, would do the same, for all keys expire, until somebody adds one that does not.
        'maxmemory-policy': 'allkeys-lru',
        // A quarter of the memory stays free for replication and snapshots, which copy what changes meanwhile.
        'reserved-memory-percent': '25',
        // Sandboxes vanish without a word. What has been silent for ten minutes is closed, so that connections of the
        // dead do not add up; a sandbox that was only frozen finds its connection closed and opens another.
        'timeout': '600',
        'tcp-keepalive': '60',
        // Copies are replaced by ones of another size all the time, and leave holes.
        'activedefrag': 'yes',
        // Answers are waited for 200 ms; what takes 10 ms (in µs here) of the one thread is worth a line.
        'slowlog-log-slower-than': '10000',
        'slowlog-max-len': '256',
        ...(clustered && { 'cluster-enabled': 'yes' }),
      },
    });

    const log = (type: 'slow-log' | 'engine-log') => {
      const group = new logs.LogGroup(this, type, {
        logGroupName: `/aws/elasticache/${this.name}/${type}`,
        retention: props.logRetention,
        removalPolicy: RemovalPolicy.DESTROY,
      });
      return {
        logType: type,
        logFormat: 'json',
        destinationType: 'cloudwatch-logs',
        destinationDetails: { cloudWatchLogsDetails: { logGroup: group.logGroupName } },
      };
    };

    const replicated = settings.replicas > 0;
    this.group = new elasticache.CfnReplicationGroup(this, 'Group', {
      replicationGroupId: this.name,
      replicationGroupDescription: 'Copies of queues, for Millrace',
      engine: settings.engine,
      engineVersion: settings.engineVersion,
      cacheNodeType: settings.nodeType,
      port: CACHE_PORT,
      ...(clustered
        ? { numNodeGroups: settings.shards, replicasPerNodeGroup: settings.replicas }
        : { numCacheClusters: this.shape.nodes }),
      // Cluster mode is not to be had without it, not even where there is nobody to take over.
      automaticFailoverEnabled: replicated || clustered,
      multiAzEnabled: replicated,
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      kmsKeyId: props.key.keyArn,
      userGroupIds: [userGroup.ref],
      cacheParameterGroupName: parameters.ref,
      cacheSubnetGroupName: subnets.ref,
      securityGroupIds: [props.securityGroup.securityGroupId],
      // Copies need no backup. A snapshot saves a new cache its slow first minutes.
      snapshotRetentionLimit: settings.snapshotDays,
      ...(settings.snapshotDays > 0 && { snapshotWindow: settings.snapshotWindow }),
      preferredMaintenanceWindow: settings.maintenanceWindow,
      autoMinorVersionUpgrade: true,
      logDeliveryConfigurations: [log('slow-log'), log('engine-log')],
    });
    Validations.of(this.group).acknowledge({
      id: 'AwsSolutions-AEC6',
      reason:
        'Users log in with IAM tokens that last 15 minutes; a user group takes the place of the one token of all.',
    });
    if (!replicated) {
      Validations.of(this.group).acknowledge({
        id: 'AwsSolutions-AEC4',
        reason:
          'One node, as this stage wants it: without a cache queues are read from the tables, and nobody waits for this stage.',
      });
    }
  }

  /** Where functions find it, as one of its users. */
  url(user: CacheUser): string {
    const { group } = this;
    const [address, port] =
      this.mode === 'cluster'
        ? [group.attrConfigurationEndPointAddress, group.attrConfigurationEndPointPort]
        : [group.attrPrimaryEndPointAddress, group.attrPrimaryEndPointPort];
    return Fn.join('', ['rediss://', this.users[user].userName, '@', address, ':', port]);
  }

  /** Where it is, for people. */
  get endpoint(): string {
    return this.mode === 'cluster'
      ? this.group.attrConfigurationEndPointAddress
      : this.group.attrPrimaryEndPointAddress;
  }

  /** Lets a role log in as one of the users. */
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

  /** The names of the nodes, as metrics have them: by shard. Which one is the primary changes. */
  get nodes(): string[][] {
    const { shards, nodes } = this.shape;
    const number = (value: number, digits: number) => String(value).padStart(digits, '0');
    return Array.from({ length: shards }, (_, shard) =>
      Array.from({ length: nodes }, (_, node) =>
        this.mode === 'cluster'
          ? `${this.name}-${number(shard + 1, 4)}-${number(node + 1, 3)}`
          : `${this.name}-${number(node + 1, 3)}`,
      ),
    );
  }
}
