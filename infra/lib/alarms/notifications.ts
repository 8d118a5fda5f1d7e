// The topics that notify people: pages for what cannot wait, warnings for the rest.

import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { idOf } from '../construct-ids.ts';
import type { Settings, Subscription } from '../settings.ts';
import { alarmArn } from './definition.ts';

export interface NotificationsProps {
  prefix: string;
  settings: Pick<Settings['alarms'], 'pages' | 'warnings'>;
  /** Unset: the topics are not encrypted. AWS has no key for them that alarms may use. */
  key?: kms.IKey | undefined;
  /** Creates the topic for the events of the nodes of a cache. */
  hasCacheEvents: boolean;
}

export class Notifications extends Construct {
  readonly pages: sns.Topic;
  readonly warnings: sns.Topic;
  /** ElastiCache publishes failovers and other events of its nodes here. */
  readonly cacheEvents: sns.Topic | undefined;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: NotificationsProps,
  ) {
    super(scope, id);
    const { settings, key } = props;
    this.pages = this.addAlarmTopic('pages', settings.pages);
    this.warnings = this.addAlarmTopic('warnings', settings.warnings);
    this.cacheEvents = props.hasCacheEvents ? this.addCacheEventsTopic() : undefined;
    key?.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsToTopics',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
  }

  get all(): sns.Topic[] {
    return [this.pages, this.warnings, ...(this.cacheEvents === undefined ? [] : [this.cacheEvents])];
  }

  private addAlarmTopic(name: 'pages' | 'warnings', subscribers: Subscription[]): sns.Topic {
    const { prefix, key } = this.props;
    const topic = new sns.Topic(this, idOf(name), {
      topicName: `${prefix}${name}`,
      ...(key !== undefined && { masterKey: key }),
      enforceSSL: true,
    });
    const stack = Stack.of(this);
    // `enforceSSL` gives the topic a policy. That replaces the default policy, which allows alarms
    // to publish.
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsMayPublish',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: {
          StringEquals: { 'aws:SourceAccount': stack.account },
          ArnLike: { 'aws:SourceArn': alarmArn(stack, `${prefix}*`) },
        },
      }),
    );
    subscribe(topic, subscribers);
    return topic;
  }

  /** ElastiCache accepts no encrypted topic, and only a policy with this condition. */
  private addCacheEventsTopic(): sns.Topic {
    const { prefix, settings } = this.props;
    const topic = new sns.Topic(this, 'CacheEvents', { topicName: `${prefix}cache-events`, enforceSSL: true });
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'ElastiCacheMayPublish',
        principals: [new iam.AnyPrincipal()],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { StringEquals: { 'AWS:SourceOwner': Stack.of(this).account } },
      }),
    );
    Validations.of(topic).acknowledge({
      id: 'AwsSolutions-SNS2',
      reason: 'ElastiCache does not publish to encrypted topics. Its events name the cache and what happened.',
    });
    subscribe(topic, settings.warnings);
    return topic;
  }
}

function subscribe(topic: sns.Topic, subscribers: Subscription[]): void {
  for (const subscriber of subscribers) {
    topic.addSubscription(
      'email' in subscriber
        ? new subscriptions.EmailSubscription(subscriber.email)
        : new subscriptions.UrlSubscription(subscriber.url),
    );
  }
}
