// The alarms and which topic each notifies. Every description has its meaning and its runbook.

import { Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as events from 'aws-cdk-lib/aws-events';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { Api } from '../api.ts';
import type { Cache } from '../cache.ts';
import type { Functions } from '../functions.ts';
import type { ServiceMetrics } from '../metrics.ts';
import type { Queues } from '../queues.ts';
import type { Schedules } from '../schedules.ts';
import type { FunctionName, Settings } from '../settings.ts';
import type { Tables } from '../tables.ts';
import { apiAlarms } from './api-alarms.ts';
import { nodeCacheAlarms } from './cache-alarms.ts';
import { type AlarmDefinition, alarmArn, alarmDescription, createAlarm } from './definition.ts';
import { deliveryAlarms } from './delivery-alarms.ts';
import { functionAlarms } from './function-alarms.ts';
import type { Notifications } from './notifications.ts';
import { queueAlarms } from './queue-alarms.ts';
import { RollbackAlarms } from './rollback-alarms.ts';
import { serverlessCacheAlarms } from './serverless-cache-alarms.ts';
import { tableAlarms } from './table-alarms.ts';
import { thresholdAlarms } from './threshold-alarms.ts';

export interface AlarmsProps {
  prefix: string;
  settings: Settings;
  cache?: Cache;
  tables: Tables;
  queues: Queues;
  functions: Functions;
  schedules: Schedules;
  commandRule: events.Rule;
  api: Api;
  metrics: ServiceMetrics;
  notifications: Notifications;
}

export class Alarms extends Construct {
  /** All alarms that notify a topic, except the composite alarm. */
  readonly all: cloudwatch.Alarm[];
  /** The composite alarm over all alarms that affect players. Basic monitoring has none. */
  readonly playersAffected: cloudwatch.IAlarm | undefined;
  private readonly created: { definition: AlarmDefinition; alarm: cloudwatch.Alarm }[];
  private readonly rollback: RollbackAlarms;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: AlarmsProps,
  ) {
    super(scope, id);
    const { prefix, settings, functions, metrics, notifications } = props;
    const isFull = settings.monitoring === 'full';
    this.created = definitionsOf(props)
      .filter(({ isBasic }) => isFull || isBasic === true)
      .map((definition) => {
        const alarm = createAlarm(this, prefix, definition);
        notify(alarm, notifications.warnings);
        if (definition.notifiesAll === true) {
          notify(alarm, notifications.pages);
        }
        return { definition, alarm };
      });
    this.all = this.created.map(({ alarm }) => alarm);
    this.rollback = new RollbackAlarms(this, 'Rollback', {
      prefix,
      deployment: settings.deployment,
      functions,
      metrics,
    });
    this.playersAffected = isFull ? this.addCompositeAlarm() : undefined;
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
    notify(composite, this.props.notifications.pages);
    // A reference by name does not make the dashboard depend on the alarm.
    return cloudwatch.Alarm.fromAlarmArn(this, 'PlayersAffectedByName', alarmArn(Stack.of(this), name));
  }
}

function notify(alarm: cloudwatch.AlarmBase, topic: sns.ITopic): void {
  alarm.addAlarmAction(new actions.SnsAction(topic));
  alarm.addOkAction(new actions.SnsAction(topic));
}

function definitionsOf(props: AlarmsProps): AlarmDefinition[] {
  const { api, metrics, functions, queues, tables, settings, notifications } = props;
  const { queueAgeSeconds, accountConcurrency } = settings.alarms;
  return [
    ...cacheAlarms(props),
    ...functionAlarms(functions, accountConcurrency),
    ...queueAlarms({ queues, maximumAgeSeconds: queueAgeSeconds, hasTicks: settings.ticks === 'queue' }),
    ...deliveryAlarms({ ...props, topics: notifications.all }),
    ...tableAlarms(tables, settings),
    ...apiAlarms(api),
    ...thresholdAlarms(metrics, settings),
  ];
}

function cacheAlarms({ cache, settings }: AlarmsProps): AlarmDefinition[] {
  if (cache === undefined || settings.cache.kind === 'none') {
    return [];
  }
  return settings.cache.kind === 'nodes'
    ? nodeCacheAlarms(cache, settings.cache)
    : serverlessCacheAlarms(cache.name, settings.cache);
}
