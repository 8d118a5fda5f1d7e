// Creates the kind of shared cache that the settings name.

import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import type { Cache, CacheProps } from './cache.ts';
import { NODE_CACHE_PORTS, NodeCache } from './node-cache.ts';
import { SERVERLESS_CACHE_PORTS, ServerlessCache } from './serverless-cache.ts';
import type { NodeCacheSettings, ServerlessCacheSettings } from './settings.ts';

/** The settings of the kinds that are a resource. */
export type SharedCacheSettings = NodeCacheSettings | ServerlessCacheSettings;

export function createCache(
  scope: Construct,
  id: string,
  { settings, ...props }: CacheProps<SharedCacheSettings>,
): Cache {
  switch (settings.kind) {
    case 'nodes':
      return new NodeCache(scope, id, { ...props, settings });
    case 'serverless':
      return new ServerlessCache(scope, id, { ...props, settings });
  }
}

/** The ports on which functions connect. */
export function cachePorts(settings: SharedCacheSettings): ec2.Port {
  switch (settings.kind) {
    case 'nodes':
      return NODE_CACHE_PORTS;
    case 'serverless':
      return SERVERLESS_CACHE_PORTS;
  }
}
