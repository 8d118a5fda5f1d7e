// What the npm package offers.

export type { ExistingNetwork } from './network.ts';
export { Millrace } from './millrace.ts';
export type { MillraceProps } from './props.ts';
export {
  type ApiAuthorization,
  type CacheSettings,
  type EventType,
  type FunctionName,
  type FunctionSettings,
  type ManagedInstancesSettings,
  NODE_CACHE,
  type NodeCacheSettings,
  type PublishedType,
  type QueueSettings,
  type ServerlessCacheSettings,
  type Subscription,
} from './settings.ts';
export type { TableName } from './tables.ts';
export { SettingsError } from './validation.ts';
