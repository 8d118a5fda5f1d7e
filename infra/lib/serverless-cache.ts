// The shared cache as ElastiCache Serverless for Valkey. It scales by itself, is in all zones of
// its subnets, always uses TLS and the cluster protocol, and is billed by what it stores and does.

import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import type { Construct } from 'constructs';
import { Cache, type CacheProps } from './cache.ts';
import type { ServerlessCacheSettings } from './settings.ts';

/** The ports of every serverless cache: of its endpoint, and of the endpoint for reads. */
export const SERVERLESS_CACHE_PORTS = ec2.Port.tcpRange(6379, 6380);

export class ServerlessCache extends Cache {
  readonly endpoint: string;
  readonly nodes: string[][] = [];
  protected readonly port: string;
  protected readonly mode = 'cluster';
  protected readonly kind = 'serverless';
  protected readonly resourceType = 'serverlesscache';

  constructor(scope: Construct, id: string, props: CacheProps<ServerlessCacheSettings>) {
    super(scope, id, props.prefix, 'valkey');
    const { settings, subnets, securityGroup, key } = props;
    const cache = new elasticache.CfnServerlessCache(this, 'Serverless', {
      serverlessCacheName: this.name,
      description: 'Copies of Millrace queues',
      engine: 'valkey',
      majorEngineVersion: settings.engineVersion,
      ...(settings.maximum !== undefined && { cacheUsageLimits: limitsOf(settings.maximum) }),
      ...(key !== undefined && { kmsKeyId: key.keyArn }),
      userGroupId: this.users.group.ref,
      subnetIds: subnets.map((subnet) => subnet.subnetId),
      securityGroupIds: [securityGroup.securityGroupId],
    });
    this.endpoint = cache.attrEndpointAddress;
    this.port = cache.attrEndpointPort;
  }
}

function limitsOf({
  storageGb,
  ecpuPerSecond,
}: NonNullable<ServerlessCacheSettings['maximum']>): elasticache.CfnServerlessCache.CacheUsageLimitsProperty {
  return {
    ...(storageGb !== undefined && { dataStorage: { maximum: storageGb, unit: 'GB' } }),
    ...(ecpuPerSecond !== undefined && { ecpuPerSecond: { maximum: ecpuPerSecond } }),
  };
}
