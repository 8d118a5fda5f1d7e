// Log metrics, the topic of the alarms and the dashboard.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOG_METRICS } from '../lib/log-metrics.ts';
import { type IamStatement, production, propertiesOfType } from './support.ts';

test('metric filters extract the fields of log lines', () => {
  const filters = Object.fromEntries(
    propertiesOfType(production, 'AWS::Logs::MetricFilter').map((properties) => [
      properties.MetricTransformations[0].MetricName,
      properties,
    ]),
  );
  const { FilterPattern, MetricTransformations } = filters['CacheHits'];
  assert.equal(FilterPattern, '{ ($.message = "processed") && ($.cache_hits >= 0) }');
  assert.equal(MetricTransformations[0].MetricValue, '$.cache_hits');
  assert.equal(MetricTransformations[0].MetricNamespace, 'Millrace/production');
  assert.equal(Object.keys(filters).length, Object.keys(LOG_METRICS).length);
});

test('the topic is encrypted with a key that CloudWatch may use', () => {
  const [topic] = propertiesOfType(production, 'AWS::SNS::Topic');
  assert.ok(topic.KmsMasterKeyId);
  const [key] = propertiesOfType(production, 'AWS::KMS::Key');
  const statement = key.KeyPolicy.Statement.find(({ Sid }: IamStatement) => Sid === 'AlarmsToTopic');
  assert.deepEqual(statement.Principal, { Service: 'cloudwatch.amazonaws.com' });
});

test('only alarms of the stage may publish to the topic', () => {
  const [policy] = propertiesOfType(production, 'AWS::SNS::TopicPolicy');
  const allowed = policy.PolicyDocument.Statement.filter(({ Effect }: IamStatement) => Effect === 'Allow');
  assert.equal(allowed.length, 1);
  const { Principal, Action, Resource, Condition } = allowed[0] as IamStatement;
  assert.deepEqual([Principal, Action], [{ Service: 'cloudwatch.amazonaws.com' }, 'sns:Publish']);
  assert.match(JSON.stringify(Resource), /AlarmsTopic/);
  assert.deepEqual(Condition.StringEquals, { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } });
  // The prefix includes the composite alarm.
  const arn = JSON.stringify(Condition.ArnLike['aws:SourceArn']);
  assert.match(arn, /:cloudwatch:/);
  assert.match(arn, /:alarm:millrace-production-\*"/);
});

test('the dashboard has its sections in order', () => {
  const [dashboard] = propertiesOfType(production, 'AWS::CloudWatch::Dashboard');
  const body = JSON.stringify(dashboard.DashboardBody);
  const sections = [...body.matchAll(/## ([A-Za-z ]+)/g)].map(([, title]) => title);
  assert.deepEqual(sections, ['Service', 'Latency', 'Cache and tables', 'Failures', 'Usage']);
});
