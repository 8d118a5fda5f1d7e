// What somebody is called for. Each alarm says what it means, and where it is written what to do about it.

import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Api } from './api.ts';
import type { Cache } from './cache.ts';
import { cacheMetric, folded, throttleMetrics } from './figures.ts';
import type { DeployedFunction, Functions } from './functions.ts';
import type { LogMetrics } from './metrics.ts';
import type { Queues } from './queues.ts';
import { RollbackAlarms } from './rollback.ts';
import { ADVANCE_EVERY, UPKEEP_EVERY } from './schedules.ts';
import type { FunctionName, Settings } from './settings.ts';
import type { Tables } from './tables.ts';

/** Where the runbooks are. A test looks whether each has its place there. */
export const RUNBOOK = 'docs/operations.md';

const { GREATER_THAN_THRESHOLD, GREATER_THAN_OR_EQUAL_TO_THRESHOLD, LESS_THAN_THRESHOLD } =
  cloudwatch.ComparisonOperator;

export interface AlarmsProps {
  prefix: string;
  settings: Settings;
  cache: Cache;
  tables: Tables;
  queues: Queues;
  functions: Functions;
  api: Api;
  metrics: LogMetrics;
  key: kms.Key;
}

interface AlarmSpec {
  metric: cloudwatch.IMetric;
  threshold: number;
  comparison?: cloudwatch.ComparisonOperator;
  /** In how many of the last so many periods. */
  datapoints?: [number, number];
  /** What it means where there is no figure. As a rule: where nothing happens, nothing is wrong. */
  missing?: cloudwatch.TreatMissingData;
  meaning: string;
  runbook: string;
}

/** How often a function is called, and so what is more than a mishap: so many in a period, in how many of how many. */
const RHYTHM: Record<FunctionName, { period: Duration; least: number; datapoints: [number, number] }> = {
  'process-tasks': { period: Duration.minutes(1), least: 3, datapoints: [2, 3] },
  'queue-api': { period: Duration.minutes(1), least: 3, datapoints: [2, 3] },
  'advance-queues': { period: ADVANCE_EVERY, least: 1, datapoints: [3, 5] },
  'maintain-cache': { period: UPKEEP_EVERY, least: 1, datapoints: [2, 2] },
};

/** Fewer lookups in five minutes tell nothing about the cache. */
const LOOKUPS_TO_JUDGE = 100;

export class Alarms extends Construct {
  readonly topic: sns.Topic;
  readonly all: cloudwatch.Alarm[] = [];
  readonly playersAffected: cloudwatch.IAlarm;
  private readonly ofFunctions: Partial<Record<FunctionName, cloudwatch.Alarm[]>> = {};
  private readonly rollback: RollbackAlarms;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: AlarmsProps,
  ) {
    super(scope, id);
    this.topic = this.topicOf(props);
    this.cacheAlarms();
    const functions = this.functionAlarms();
    const queues = this.queueAlarms();
    this.tableAlarms();
    const api = this.apiAlarms();
    const lateness = this.pipelineAlarms();

    const { prefix, settings, metrics } = props;
    const { deployment } = settings;
    this.rollback = new RollbackAlarms(this, 'Rollback', { prefix, deployment, functions: props.functions, api: props.api, metrics, describe });

    // One call for the one question. The others say where to look.
    const name = `${prefix}players-are-affected`;
    const affected = new cloudwatch.CompositeAlarm(this, 'PlayersAffected', {
      compositeAlarmName: name,
      alarmDescription: describe('Players wait, or are refused, or work of theirs is lying about.', 'players-are-affected'),
      alarmRule: cloudwatch.AlarmRule.anyOf(...[...functions, ...queues, ...api, lateness]),
    });
    affected.addAlarmAction(new actions.SnsAction(this.topic));
    affected.addOkAction(new actions.SnsAction(this.topic));
    // By its name, so that the dashboard does not wait for it.
    this.playersAffected = cloudwatch.Alarm.fromAlarmArn(this, 'PlayersAffectedByName', alarmArn(Stack.of(this), name));
  }

  /** What a new version of a function is taken back for. */
  rollbackOf(name: FunctionName): cloudwatch.Alarm[] {
    return [...(this.ofFunctions[name] ?? []), ...this.rollback.of(name)];
  }

  private topicOf({ prefix, settings, key }: AlarmsProps): sns.Topic {
    const topic = new sns.Topic(this, 'Topic', { topicName: `${prefix}alarms`, masterKey: key, enforceSSL: true });
    const stack = Stack.of(this);
    const cloudWatch = new iam.ServicePrincipal('cloudwatch.amazonaws.com');
    const ofThisAccount = { StringEquals: { 'aws:SourceAccount': stack.account } };
    // `enforceSSL` gives the topic a policy, which takes the place of the one that every topic has and that lets alarms in.
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsMayPublish',
        principals: [cloudWatch],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: { ...ofThisAccount, ArnLike: { 'aws:SourceArn': alarmArn(stack, `${prefix}*`) } },
      }),
    );
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsToTopic',
        principals: [cloudWatch],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: ofThisAccount,
      }),
    );
    if (settings.alarms.email !== undefined) {
      topic.addSubscription(new subscriptions.EmailSubscription(settings.alarms.email));
    }
    return topic;
  }

  private alarm(name: string, spec: AlarmSpec): cloudwatch.Alarm {
    const [datapoints, periods] = spec.datapoints ?? [1, 1];
    const alarm = new cloudwatch.Alarm(this, name, {
      alarmName: `${this.props.prefix}${name}`,
      alarmDescription: describe(spec.meaning, spec.runbook),
      metric: spec.metric,
      threshold: spec.threshold,
      comparisonOperator: spec.comparison ?? GREATER_THAN_THRESHOLD,
      datapointsToAlarm: datapoints,
      evaluationPeriods: periods,
      treatMissingData: spec.missing ?? cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new actions.SnsAction(this.topic));
    alarm.addOkAction(new actions.SnsAction(this.topic));
    this.all.push(alarm);
    return alarm;
  }

  /** Over the nodes of a shard, because the primary is now this one and now that one. */
  private cacheAlarms(): void {
    const { cache } = this.props;
    for (const [shard, nodes] of cache.nodes.entries()) {
      const suffix = cache.nodes.length > 1 ? `-${shard + 1}` : '';
      const over = (fold: 'MAX' | 'SUM', metricName: string, statistic: string) =>
        folded(fold, nodes.map((node) => cacheMetric(node, metricName, statistic)), `${metricName} of any node`);
      this.alarm(`cache-cpu${suffix}`, {
        metric: over('MAX', 'EngineCPUUtilization', 'Average'),
        threshold: 75,
        datapoints: [4, 5],
        meaning: 'The one thread of a cache node that does the work is busy three quarters of the time; beyond that, answers are late.',
        runbook: 'cache-cpu',
      });
      this.alarm(`cache-memory${suffix}`, {
        metric: over('MAX', 'DatabaseMemoryUsagePercentage', 'Maximum'),
        threshold: 85,
        datapoints: [5, 5],
        meaning: 'The memory of the cache is nearly used up: soon copies that are needed will be evicted.',
        runbook: 'cache-memory',
      });
      this.alarm(`cache-evictions${suffix}`, {
        metric: over('SUM', 'Evictions', 'Sum'),
        threshold: 1000,
        datapoints: [4, 5],
        meaning: 'The cache makes room for new copies by dropping others before their time: queues are read from DynamoDB instead.',
        runbook: 'cache-memory',
      });
      this.alarm(`cache-connections${suffix}`, {
        metric: over('MAX', 'CurrConnections', 'Maximum'),
        threshold: 10_000,
        datapoints: [5, 5],
        meaning: 'Far more connections than sandboxes should hold; a node takes 65,000.',
        runbook: 'cache-connections',
      });
      if (nodes.length > 1) {
        this.alarm(`cache-replication-lag${suffix}`, {
          metric: over('MAX', 'ReplicationLag', 'Maximum'),
          threshold: 10,
          datapoints: [5, 5],
          meaning: 'A replica is more than 10 s behind: if it had to take over, it would hold old copies.',
          runbook: 'cache-replication-lag',
        });
      }
    }
    this.alarm('cache-hit-rate', {
      metric: this.props.metrics.hitRate(LOOKUPS_TO_JUDGE),
      threshold: this.props.settings.alarms.hitRatePercent / 100,
      comparison: LESS_THAN_THRESHOLD,
      datapoints: [3, 3],
      meaning: 'Too few queues are found in the cache: each miss is a read of DynamoDB more, and a few milliseconds.',
      runbook: 'cache-hit-rate',
    });
  }

  private functionAlarms(): cloudwatch.Alarm[] {
    const severe: cloudwatch.Alarm[] = [];
    for (const [name, deployed] of this.props.functions.all) {
      const { live } = deployed;
      const { period, least, datapoints } = RHYTHM[name];
      const errors = this.alarm(`${name}-errors`, {
        metric: live.metricErrors({ statistic: cloudwatch.Stats.SUM, period }),
        threshold: least,
        comparison: GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        datapoints,
        meaning: `Invocations of ${name} fail as a whole: it does not start, runs out of time, or refuses its event.`,
        runbook: 'function-errors',
      });
      const throttles = this.alarm(`${name}-throttles`, {
        metric: live.metricThrottles({ statistic: cloudwatch.Stats.SUM, period }),
        threshold: 0,
        datapoints,
        meaning: `Lambda turns invocations of ${name} away: the account has no more concurrency.`,
        runbook: 'function-throttles',
      });
      const slow = this.alarm(`${name}-duration`, {
        metric: live.metricDuration({ statistic: cloudwatch.Stats.p(95), period }),
        threshold: slowMs(deployed),
        datapoints,
        meaning: `One in twenty invocations of ${name} takes more than 80 % of its time-out: soon some will not end.`,
        runbook: 'function-duration',
      });
      this.ofFunctions[name] = [errors, slow];
      // Upkeep can wait.
      if (name !== 'maintain-cache') {
        severe.push(errors, throttles);
      }
    }
    // Who is never called fails at nothing.
    const silent = this.alarm('advance-queues-silent', {
      metric: this.props.functions.byName['advance-queues'].live.metricInvocations({
        statistic: cloudwatch.Stats.SUM,
        period: Duration.minutes(5),
      }),
      threshold: 1,
      comparison: LESS_THAN_THRESHOLD,
      missing: cloudwatch.TreatMissingData.BREACHING,
      meaning: 'The schedule has not called advance-queues for five minutes: queues that nobody touches stand still.',
      runbook: 'schedule-silent',
    });
    return [...severe, silent];
  }

  private queueAlarms(): cloudwatch.Alarm[] {
    const { queues, settings } = this.props;
    const period = Duration.minutes(1);
    const alarms = queues.all.flatMap(([name, { queue, deadLetters }]) => [
      this.alarm(`${name}-age`, {
        metric: queue.metricApproximateAgeOfOldestMessage({ statistic: cloudwatch.Stats.MAXIMUM, period }),
        threshold: settings.alarms.queueAgeSeconds,
        datapoints: [3, 3],
        meaning: `Messages of the ${name} queue wait for minutes: more come than are processed, or they fail and come again.`,
        runbook: 'queue-age',
      }),
      this.alarm(`${name}-dead-letters`, {
        metric: deadLetters.metricApproximateNumberOfMessagesVisible({ statistic: cloudwatch.Stats.MAXIMUM, period }),
        threshold: 0,
        meaning: `Messages of the ${name} queue failed again and again and were set aside. They are kept for 14 days.`,
        runbook: 'dead-letters',
      }),
    ]);
    const undelivered = this.alarm('undelivered', {
      metric: queues.undelivered.metricApproximateNumberOfMessagesVisible({ statistic: cloudwatch.Stats.MAXIMUM, period }),
      threshold: 0,
      meaning: 'What a schedule, the event bus or an asynchronous call brought failed, and was set aside for 14 days.',
      runbook: 'undelivered',
    });
    return [...alarms, undelivered];
  }

  private tableAlarms(): void {
    for (const [name, table] of this.props.tables.all) {
      const operations = [
        dynamodb.Operation.GET_ITEM,
        dynamodb.Operation.BATCH_GET_ITEM,
        dynamodb.Operation.PUT_ITEM,
        dynamodb.Operation.BATCH_WRITE_ITEM,
        // Commits of several queues.
        dynamodb.Operation.BATCH_EXECUTE_STATEMENT,
        dynamodb.Operation.QUERY,
      ];
      const period = Duration.minutes(1);
      const errors = operations.map((operation) =>
        table.metric('SystemErrors', {
          statistic: cloudwatch.Stats.SUM,
          period,
          dimensionsMap: { TableName: table.tableName, Operation: operation },
        }),
      );
      this.alarm(`${name}-table-throttles`, {
        metric: folded('SUM', throttleMetrics(name, table, period), 'throttled'),
        threshold: 10,
        datapoints: [3, 5],
        meaning: `DynamoDB turns calls on the ${name} table away: the load grew faster than the table, or meets one key.`,
        runbook: 'table-throttles',
      });
      this.alarm(`${name}-table-errors`, {
        metric: folded('SUM', errors, 'system errors'),
        threshold: 5,
        datapoints: [3, 5],
        meaning: `DynamoDB itself fails calls on the ${name} table.`,
        runbook: 'table-errors',
      });
    }
  }

  private apiAlarms(): cloudwatch.Alarm[] {
    const { api, stage } = this.props.api;
    const metric = (name: string, statistic: string) =>
      api.metric(name, { statistic, period: Duration.minutes(5), dimensionsMap: { ApiId: api.apiId, Stage: stage.stageName } });
    return [
      this.alarm('api-errors', {
        metric: metric('5xx', cloudwatch.Stats.SUM),
        threshold: 5,
        datapoints: [2, 3],
        meaning: 'Requests end with 500 and above.',
        runbook: 'api-errors',
      }),
    ];
  }

  private pipelineAlarms(): cloudwatch.Alarm {
    const { metrics, settings } = this.props;
    this.alarm('malformed', {
      metric: metrics.metric('malformed', cloudwatch.Stats.SUM),
      threshold: 10,
      datapoints: [1, 1],
      meaning: 'Somebody sends what is not understood. It lies in the rejections table with the reason.',
      runbook: 'malformed',
    });
    return this.alarm('lateness', {
      metric: metrics.metric('lateness', cloudwatch.Stats.MAXIMUM, Duration.minutes(1)),
      threshold: settings.alarms.latenessSeconds * 1000,
      datapoints: [3, 3],
      meaning: 'Queues with something due are advanced late. Times stay right, but nobody learns of them in time.',
      runbook: 'lateness',
    });
  }
}

/** 80 % of the time-out. */
export function slowMs(deployed: DeployedFunction): number {
  return deployed.timeout.toMilliseconds() * 0.8;
}

function alarmArn(stack: Stack, name: string): string {
  return stack.formatArn({ service: 'cloudwatch', resource: 'alarm', resourceName: name, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
}

function describe(meaning: string, runbook: string): string {
  return `${meaning} What to do: ${RUNBOOK}#${runbook}`;
}
