// The validation of settings.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EventType, NODE_CACHE, type Settings, stages } from '../lib/settings.ts';
import { validate } from '../lib/validation.ts';

const { production } = stages;

function apiWithProvider(issuer: string, audience: string[]): Settings['api'] {
  return { ...production.api, authorization: { kind: 'jwt', issuer, audience } };
}

function apiWithOrigins(...corsOrigins: string[]): Settings['api'] {
  return { ...production.api, corsOrigins };
}

function eventsWith(changes: Partial<Settings['events']>): Partial<Settings> {
  return { events: { ...production.events, ...changes } };
}

function alarmsWith(changes: Partial<Settings['alarms']>): Partial<Settings> {
  return { alarms: { ...production.alarms, ...changes } };
}

function withReservedConcurrency(reservedConcurrency: number): Settings['functions'] {
  const { functions } = production;
  return { ...functions, 'process-tasks': { ...functions['process-tasks'], reservedConcurrency } };
}

/** Production with instances, which `changes` make invalid. */
function withInstances(changes: Partial<Settings>): Partial<Settings> {
  const { functions } = production;
  return {
    managedInstances: { maxVcpus: 12, memoryGiBPerVcpu: 2, concurrency: 8 },
    functions: { ...functions, 'process-tasks': { ...functions['process-tasks'], memoryMiB: 2048 } },
    deployment: 'all-at-once',
    ...changes,
  };
}

const REFUSED: [Partial<Settings>, RegExp][] = [
  [{ stage: 'Prod' }, /stage=Prod is not allowed; allowed: 1 to 12/],
  [
    { hasKey: false, keyArn: 'arn:aws:kms:eu-central-1:123456789012:key/1' },
    /hasKey=false is not allowed; allowed: true, where keyArn names a key/,
  ],
  [{ keyArn: 'alias/data' }, /keyArn=alias\/data is not allowed; allowed: the ARN of a key/],
  [{ cache: { ...NODE_CACHE, replicas: 6 } }, /cache.replicas=6 is not allowed; allowed: a whole number from 0 to 5/],
  [
    { cache: { ...NODE_CACHE, engine: 'redis', engineVersion: '7.2' } },
    /redis 7.2 is not allowed; allowed: valkey 7.2, 8.0 to 8.2, 9.0 or 9.1, redis 7.0 or 7.1/,
  ],
  [
    { cache: { ...production.cache, maximum: { ecpuPerSecond: 10 } } },
    /cache.maximum.ecpuPerSecond=10 is not allowed; allowed: a whole number from 1000 to 15000000/,
  ],
  [{ tables: { maxWriteUnits: 0 } }, /tables.maxWriteUnits=0 is not allowed; allowed: a whole number from 1/],
  [
    { queues: { ...production.queues, ticks: { ...production.queues.ticks, pollers: { minimum: 5, maximum: 4 } } } },
    /queues.ticks.pollers.maximum=4 is not allowed; allowed: a whole number from 5 to 2000/,
  ],
  [
    // Two sources with 10 batches each, and one with 50.
    { functions: withReservedConcurrency(69) },
    /functions.process-tasks.reservedConcurrency=69 is not allowed; allowed: a whole number from 70/,
  ],
  [
    { queues: { ...production.queues, progress: { ...production.queues.progress, windowSeconds: 0 } } },
    /queues.progress.windowSeconds=0 is not allowed; allowed: a whole number from 1 to 300/,
  ],
  [
    { functions: { ...production.functions, 'queue-api': { memoryMiB: 256, timeoutSeconds: 30 } } },
    /functions.queue-api.timeoutSeconds=30 is not allowed; allowed: a whole number from 2 to 29/,
  ],
  [withInstances({ functions: production.functions }), /process-tasks.memoryMiB=512 is not allowed; .* from 2048/],
  [withInstances({ cache: { kind: 'none' } }), /managedInstances is not allowed; allowed: with a shared cache/],
  [withInstances({ deployment: 'canary' }), /managedInstances is not allowed; allowed: with deployment=all-at-once/],
  [alarmsWith({ warnings: [{ email: 'you' }] }), /alarms.warnings.email=you is not allowed; allowed: an address/],
  [alarmsWith({ pages: [{ url: 'http://pager.example' }] }), /alarms.pages.url=http:.* is not allowed; allowed: a URL/],
  [alarmsWith({ accountConcurrency: 5 }), /alarms.accountConcurrency=5 is not allowed; .* from 10 to 1000000/],
  [{ monitoring: 'basic' }, /monitoring=basic is not allowed; allowed: full, or basic with deployment=all-at-once/],
  [{ budget: { dollarsAMonth: 100 } }, /budget is not allowed; allowed: with at least one email in alarms.warnings/],
  [
    alarmsWith({ thresholds: { late: 1 } }),
    /alarms.thresholds.late is not allowed; allowed: .*events-failed, lateness/,
  ],
  [alarmsWith({ thresholds: { lateness: -1 } }), /alarms.thresholds.lateness=-1 is not allowed/],
  [
    { environment: { MILLRACE_THRESHOLDS: 'lateness=1' } },
    /MILLRACE_THRESHOLDS is not allowed; allowed: alarms.thresh/,
  ],
  [{ environment: { MILLRACE_METRICS: 'off' } }, /MILLRACE_METRICS is not allowed; allowed: no setting/],
  [
    { environment: { MILLRACE_CORS_ORIGINS: '*' } },
    /environment.MILLRACE_CORS_ORIGINS is not allowed; allowed: api.corsOrigins/,
  ],
  [
    { api: apiWithOrigins('https://game.example/') },
    /api.corsOrigins=https:\/\/game.example\/ is not allowed; allowed: \* alone, or origins/,
  ],
  [{ api: apiWithOrigins('*', 'https://game.example') }, /api.corsOrigins=\* is not allowed/],
  [
    { environment: { MILLRACE_EVENTS: 'table' } },
    /environment.MILLRACE_EVENTS is not allowed; allowed: events, which also creates/,
  ],
  [eventsWith({ retentionHours: 0 }), /events.retentionHours=0 is not allowed; allowed: a whole number from 1 to 8760/],
  [eventsWith({ types: [] }), /events.types=\[\] is not allowed; allowed: all, or at least one of taskQueued,/],
  [
    eventsWith({ types: ['taskStarted', 'taskEnded' as EventType] }),
    /events.types=taskEnded is not allowed; allowed: all, or at least one of taskQueued, taskStarted/,
  ],
  [
    eventsWith({ bus: false, types: ['taskStarted'] }),
    /events.types=taskStarted is not allowed; allowed: all, where neither the bus nor a queue gets events/,
  ],
  [{ environment: { PATH: '/bin' } }, /environment.PATH is not allowed/],
  [
    { api: apiWithProvider('http://id.example', ['a']) },
    /issuer=http:\/\/id.example is not allowed; allowed: the https:/,
  ],
  [{ api: apiWithProvider('https://id.example', []) }, /audience=\[\] is not allowed; allowed: at least one audience/],
];

test('all stages are valid', () => {
  for (const settings of Object.values(stages)) {
    validate(settings);
  }
});

test('instances are allowed in a network, with enough memory and all at once', () => {
  validate({ ...production, ...withInstances({}) });
});

test('a bad setting is refused with its name, its value and what is allowed', () => {
  for (const [change, message] of REFUSED) {
    assert.throws(() => validate({ ...production, ...change }), message);
  }
});
