// What the kinds of the shared cache have in common: users, IAM tokens, and how functions connect.
// cache-kinds.ts creates the kind that the settings name.

import { ArnFormat, Fn, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { type CacheUser, CacheUsers, type Engine } from './cache-users.ts';

export interface CacheProps<Settings> {
  prefix: string;
  settings: Settings;
  subnets: ec2.ISubnet[];
  securityGroup: ec2.ISecurityGroup;
  key?: kms.IKey | undefined;
  logRetention: logs.RetentionDays;
  /** Gets the events of nodes, such as failovers. A serverless cache has no such events. */
  eventsTopicArn?: string;
}

export abstract class Cache extends Construct {
  /** IAM tokens are issued for this name. */
  readonly name: string;
  /** The host name of the endpoint, for operators. */
  abstract readonly endpoint: string;
  /**
   * Names of the nodes by shard, as metrics have them. A failover makes another node the primary. A
   * serverless cache has no nodes.
   */
  abstract readonly nodes: string[][];
  protected abstract readonly port: string;
  protected abstract readonly mode: 'standalone' | 'cluster';
  /** The value of `MILLRACE_REDIS_IAM_CACHE_KIND`. */
  protected abstract readonly kind: 'nodes' | 'serverless';
  /** The type of the cache in ARNs. */
  protected abstract readonly resourceType: 'replicationgroup' | 'serverlesscache';
  protected readonly users: CacheUsers;

  constructor(scope: Construct, id: string, prefix: string, engine: Engine) {
    super(scope, id);
    this.name = `${prefix}cache`;
    this.users = new CacheUsers(this, 'Users', { prefix, engine });
  }

  /** The environment variables with which a function connects as a user. */
  environment(user: CacheUser): Record<string, string> {
    return {
      MILLRACE_REDIS_URL: Fn.join('', ['rediss://', this.users.nameOf(user), '@', this.endpoint, ':', this.port]),
      MILLRACE_REDIS_MODE: this.mode,
      MILLRACE_REDIS_IAM_CACHE_NAME: this.name,
      MILLRACE_REDIS_IAM_CACHE_KIND: this.kind,
    };
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
        resources: [arn(this.resourceType, this.name), arn('user', this.users.nameOf(user))],
      }),
    );
  }
}
