// The event sources and schedules of the functions, and the destinations of failed invocations.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stages } from '../lib/settings.ts';
import { dev, production, propertiesOfType, referencedName, synthesize } from './support.ts';

const SOURCE = 'AWS::Lambda::EventSourceMapping';

function isUndeliveredQueue(reference: unknown): boolean {
  return referencedName(production, reference) === 'undelivered';
}

test('queues deliver batches to process-tasks and accept failures of single messages', () => {
  const sources = propertiesOfType(production, SOURCE).map((properties) => ({
    queue: referencedName(production, properties.EventSourceArn),
    batch: properties.BatchSize,
    window: properties.MaximumBatchingWindowInSeconds,
    concurrency: properties.ScalingConfig.MaximumConcurrency,
    responseTypes: properties.FunctionResponseTypes,
    metrics: properties.MetricsConfig?.Metrics,
    isProcessTasks: JSON.stringify(properties.FunctionName).includes('ProcessTasks'),
  }));
  const common = { responseTypes: ['ReportBatchItemFailures'], metrics: ['EventCount'], isProcessTasks: true };
  assert.deepEqual(sources, [
    { queue: 'commands', batch: 10, window: undefined, concurrency: 50, ...common },
    { queue: 'progress', batch: 1000, window: 1, concurrency: 10, ...common },
    { queue: 'ticks', batch: 10, window: undefined, concurrency: 10, ...common },
  ]);
});

test('pollers of provisioned mode replace the maximum concurrency', () => {
  const { queues } = stages.production;
  const progress = { ...queues.progress, pollers: { minimum: 2, maximum: 6 } };
  const template = synthesize({ ...stages.production, queues: { ...queues, progress } });
  const [source] = propertiesOfType(template, SOURCE).filter(({ BatchSize }) => BatchSize === progress.batchSize);
  assert.deepEqual(source.ProvisionedPollerConfig, { MinimumPollers: 2, MaximumPollers: 6 });
  assert.equal(source.ScalingConfig, undefined);
});

test('dev has no metrics of event sources', () => {
  for (const { MetricsConfig } of propertiesOfType(dev, SOURCE)) {
    assert.equal(MetricsConfig, undefined);
  }
});

test('failed asynchronous invocations go to the queue of undelivered events', () => {
  const configurations = propertiesOfType(production, 'AWS::Lambda::EventInvokeConfig');
  assert.equal(configurations.length, 4);
  for (const { DestinationConfig, Qualifier } of configurations) {
    assert.ok(isUndeliveredQueue(DestinationConfig.OnFailure.Destination));
    assert.match(JSON.stringify(Qualifier), /Live[A-F0-9]{8}/);
  }
});

test('the rule of the event bus matches commands and has a dead-letter queue', () => {
  const rules = propertiesOfType(production, 'AWS::Events::Rule');
  assert.equal(rules.length, 1);
  const [rule] = rules;
  assert.deepEqual(rule.EventPattern, { 'detail-type': ['TaskQueueCommand'] });
  assert.ok(isUndeliveredQueue(rule.Targets[0].DeadLetterConfig.Arn));
});

test('schedules have their rates and payloads, and a dead-letter queue', () => {
  const schedules = propertiesOfType(production, 'AWS::Scheduler::Schedule').map(
    ({ Name, ScheduleExpression, Target }) => [
      Name,
      ScheduleExpression,
      Target.Input,
      isUndeliveredQueue(Target.DeadLetterConfig.Arn),
    ],
  );
  assert.deepEqual(schedules, [
    ['advance-queues', 'rate(1 minute)', '{}', true],
    ['upkeep', 'rate(15 minutes)', '{"action":"upkeep"}', true],
    ['watch-thresholds', 'rate(1 minute)', '{"action":"watchThresholds"}', true],
  ]);
});

test('thresholds have no schedule where advance-queues watches them, or where there is no history', () => {
  const withDirectTicks = synthesize({ ...stages.production, ticks: 'direct' });
  for (const template of [dev, withDirectTicks]) {
    const names = propertiesOfType(template, 'AWS::Scheduler::Schedule').map(({ Name }) => Name);
    assert.deepEqual(names, ['advance-queues', 'upkeep']);
  }
});
