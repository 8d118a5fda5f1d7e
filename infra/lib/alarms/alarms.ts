// The alarms and the topic that they notify. Every description has its meaning and its runbook.

import { Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Cache } from '../cache.ts';
import type { Functions } from '../functions.ts';
import type { ServiceMetrics } from '../metrics.ts';
import type { Queues } from '../queues.ts';
import type { FunctionName, Settings } from '../settings.ts';
import type { Tables } from '../tables.ts';
import { cacheAlarms } from './cache-alarms.ts';
import { type AlarmDefinition, alarmArn, alarmDescription, createAlarm } from './definition.ts';
import { functionAlarms } from './function-alarms.ts';
import { queueAlarms } from './queue-alarms.ts';
import { RollbackAlarms } from './rollback-alarms.ts';
import { tableAlarms } from './table-alarms.ts';
import { thresholdAlarms } from './threshold-alarms.ts';

export interface AlarmsProps {
  prefix: string;
  settings: Settings;
  cache?: Cache;
  tables: Tables;
  queues: Queues;
  functions: Functions;
  metrics: ServiceMetrics;
  key: kms.Key;
}

export class Alarms extends Construct {
  readonly topic: sns.Topic;
  /** All alarms that notify the topic, except the composite alarm. */
  readonly all: cloudwatch.Alarm[];
  /** The composite alarm over all alarms that affect players. */
  readonly playersAffected: cloudwatch.IAlarm;
  private readonly created: { definition: AlarmDefinition; alarm: cloudwatch.Alarm }[];
  private readonly rollback: RollbackAlarms;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: AlarmsProps,
  ) {
    super(scope, id);
    const { prefix, settings, functions, metrics } = props;
    this.topic = this.addTopic();
    this.created = definitionsOf(props).map((definition) => {
      const alarm = createAlarm(this, prefix, definition);
      this.notifyTopic(alarm);
      return { definition, alarm };
    });
    this.all = this.created.map(({ alarm }) => alarm);
    this.rollback = new RollbackAlarms(this, 'Rollback', {
      prefix,
      deployment: settings.deployment,
      functions,
      metrics,
    });
    this.playersAffected = this.addCompositeAlarm();
  }

  /** Alarms on which CodeDeploy rolls back a new version of a function. */
  rollbackAlarmsOf(name: FunctionName): cloudwatch.Alarm[] {
    const general = this.created.filter(({ definition }) => definition.rollsBack === name);
    return [...general.map(({ alarm }) => alarm), ...this.rollback.of(name)];
  }

  private addCompositeAlarm(): cloudwatch.IAlarm {
    const name = `${this.props.prefix}players-are-affected`;
    const affecting = this.created.filter(({ definition }) => definition.affectsPlayers === true);
    const composite = new cloudwatch.CompositeAlarm(this, 'PlayersAffected', {
      compositeAlarmName: name,
      alarmDescription: alarmDescription(
        'Players wait or are refused, or their commands were not processed.',
        'players-are-affected',
      ),
      alarmRule: cloudwatch.AlarmRule.anyOf(...affecting.map(({ alarm }) => alarm)),
    });
    this.notifyTopic(composite);
    // A reference by name does not make the dashboard depend on the alarm.
    return cloudwatch.Alarm.fromAlarmArn(this, 'PlayersAffectedByName', alarmArn(Stack.of(this), name));
  }

  private notifyTopic(alarm: cloudwatch.AlarmBase): void {
    alarm.addAlarmAction(new actions.SnsAction(this.topic));
    alarm.addOkAction(new actions.SnsAction(this.topic));
  }

  private addTopic(): sns.Topic {
    const { prefix, settings, key } = this.props;
    const topic = new sns.Topic(this, 'Topic', { topicName: `${prefix}alarms`, masterKey: key, enforceSSL: true });
    const stack = Stack.of(this);
    const cloudWatch = new iam.ServicePrincipal('cloudwatch.amazonaws.com');
    const fromThisAccount = { StringEquals: { 'aws:SourceAccount': stack.account } };
    // `enforceSSL` gives the topic a policy. That replaces the default policy, which allows alarms
    // to publish.
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsMayPublish',
        principals: [cloudWatch],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { ...fromThisAccount, ArnLike: { 'aws:SourceArn': alarmArn(stack, `${prefix}*`) } },
      }),
    );
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsToTopic',
        principals: [cloudWatch],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: fromThisAccount,
      }),
    );
    if (settings.alarms.email !== undefined) {
      topic.addSubscription(new subscriptions.EmailSubscription(settings.alarms.email));
    }
    return topic;
  }
}

function definitionsOf({ cache, metrics, functions, queues, tables, settings }: AlarmsProps): AlarmDefinition[] {
  return [
    ...(cache === undefined ? [] : cacheAlarms(cache)),
    ...functionAlarms(functions),
    ...queueAlarms(queues, settings.alarms.queueAgeSeconds),
    ...tableAlarms(tables),
    ...thresholdAlarms(metrics, cache !== undefined),
  ];
}
