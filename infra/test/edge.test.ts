// The network, the HTTP API, settings, and what differs on the emulator.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MISSING_TYPES } from '../lib/emulator.ts';
import { check, type Settings, stages } from '../lib/settings.ts';
import { all, one, production, type Resource, resources, stack, template } from './support.ts';

test('the network leads nowhere', () => {
  assert.equal(all(production, 'AWS::EC2::Subnet').length, 3);
  for (const type of ['AWS::EC2::NatGateway', 'AWS::EC2::InternetGateway', 'AWS::EC2::Route']) {
    assert.equal(all(production, type).length, 0, type);
  }
  for (const { Properties } of all(production, 'AWS::EC2::Subnet')) {
    assert.equal(Properties.MapPublicIpOnLaunch, false);
  }
  const ingress = all(production, 'AWS::EC2::SecurityGroupIngress').map(({ Properties }) => [
    Properties.FromPort,
    JSON.stringify(Properties.SourceSecurityGroupId).includes('Functions'),
  ]);
  assert.deepEqual(ingress.sort(), [
    [443, true],
    [6380, true],
  ]);
  assert.equal(JSON.stringify(all(production, 'AWS::EC2::SecurityGroup')).includes('SecurityGroupIngress'), false);
});

test('endpoints let through what functions call, and nothing else', () => {
  const policies = all(production, 'AWS::EC2::VPCEndpoint').map(
    ({ Properties }) => Properties.PolicyDocument.Statement,
  );
  assert.deepEqual(policies.map(([{ Action }]) => Action).sort(), ['dynamodb:*', 'sqs:SendMessage']);
  for (const [statement] of policies) {
    assert.notEqual(JSON.stringify(statement.Resource), '"*"');
  }
});

const ROUTES = [
  '$default',
  'GET /admin/performance',
  'GET /health',
  'GET /players/{playerId}/history',
  'GET /players/{playerId}/queue',
  'GET /players/{playerId}/rejections',
  'GET /players/{playerId}/stats',
  'GET /players/{playerId}/tasks/{taskId}',
  'HEAD /health',
  'POST /admin/cache/clear',
  'POST /admin/cache/emergency-mode',
  'POST /admin/cache/rebuild',
  'POST /admin/cache/warm',
  'POST /players/{playerId}/commands',
];

test('every route but that of monitors asks who calls, and what has no route of its own too', () => {
  const jwt: Settings = {
    ...stages.production,
    api: { ...stages.production.api, authorization: { kind: 'jwt', issuer: 'https://id.example', audience: ['game'] } },
  };
  for (const [stage, type] of [
    [production, 'AWS_IAM'],
    [template(jwt), 'JWT'],
  ] as const) {
    const routes = all(stage, 'AWS::ApiGatewayV2::Route').map(({ Properties }) => Properties);
    assert.deepEqual(routes.map(({ RouteKey }) => RouteKey).sort(), ROUTES);
    for (const { RouteKey, AuthorizationType } of routes) {
      assert.equal(AuthorizationType, RouteKey.endsWith(' /health') ? 'NONE' : type, RouteKey);
    }
  }
  const [authorizer] = all(template(jwt), 'AWS::ApiGatewayV2::Authorizer');
  assert.deepEqual(authorizer?.Properties.JwtConfiguration, { Audience: ['game'], Issuer: 'https://id.example' });
});

/** A list of header or method names in the source of queue-api. */
function listed(name: string): string[] {
  const source = readFileSync(join(import.meta.dirname, '../../functions/queue-api/src/cors.rs'), 'utf8');
  const [, list] =
    source.match(new RegExp(`const ${name}: HeaderValue =\\s*HeaderValue::from_static\\(\\s*"([^"]+)"`)) ?? [];
  return (list ?? assert.fail(`cors.rs has no ${name}`)).replaceAll(/\\\s+/g, '').split(', ');
}

test('pages are told the same by API Gateway as by the function', () => {
  const api = { ...stages.production.api, corsOrigins: ['https://game.example', 'http://localhost:5173'] };
  const open = template({ ...stages.production, api });
  const [{ Properties }] = all(open, 'AWS::ApiGatewayV2::Api') as [Resource];
  assert.deepEqual(Properties.CorsConfiguration, {
    AllowOrigins: api.corsOrigins,
    AllowMethods: listed('METHODS'),
    AllowHeaders: listed('ALLOWED'),
    ExposeHeaders: listed('EXPOSED'),
    MaxAge: 7200,
  });
  // The route for everything else would have preflights asked who calls.
  const options = one(open, 'AWS::ApiGatewayV2::Route', 'RouteKey', 'OPTIONS /{proxy+}');
  assert.equal(options.Properties.AuthorizationType, 'NONE');
  const functions = all(open, 'AWS::Lambda::Function').map(({ Properties }) => Properties);
  for (const { FunctionName, Environment } of functions) {
    const expected =
      FunctionName === 'millrace-production-queue-api' ? 'https://game.example,http://localhost:5173' : undefined;
    assert.equal(Environment.Variables.MILLRACE_CORS_ORIGINS, expected, FunctionName);
  }
  // By themselves no pages may call, and nothing is open to them.
  const [{ Properties: closed }] = all(production, 'AWS::ApiGatewayV2::Api') as [Resource];
  assert.equal(closed.CorsConfiguration, undefined);
});

test('requests are limited and written down', () => {
  const [stage] = all(production, 'AWS::ApiGatewayV2::Stage');
  assert.deepEqual(stage?.Properties.DefaultRouteSettings, {
    ThrottlingBurstLimit: 2000,
    ThrottlingRateLimit: 1000,
  });
  const format = JSON.parse(stage?.Properties.AccessLogSettings.Format) as Record<string, string>;
  assert.equal(format['requestId'], '$context.requestId');
  assert.equal(format['status'], '$context.status');
});

test('everything is tagged, and operators are told what they need', () => {
  for (const type of [
    'AWS::DynamoDB::Table',
    'AWS::Lambda::Function',
    'AWS::SQS::Queue',
    'AWS::ElastiCache::ReplicationGroup',
  ]) {
    for (const { Properties } of all(production, type)) {
      const tags = Object.fromEntries(
        Properties.Tags.map((tag: { Key: string; Value: string }) => [tag.Key, tag.Value]),
      );
      assert.deepEqual(tags, { application: 'millrace', stage: 'production' }, type);
    }
  }
  const outputs = Object.keys(production.toJSON()['Outputs'] as object);
  for (const name of [
    'ApiUrl',
    'CommandsQueueUrl',
    'ProgressQueueUrl',
    'BusName',
    'CommandsDeadLettersUrl',
    'UndeliveredUrl',
    'AlarmsTopicArn',
  ]) {
    assert.ok(outputs.includes(name), name);
  }
});

test('production cannot be deleted in passing', () => {
  assert.equal(stack(stages.production).terminationProtection, true);
  assert.equal(stack(stages.dev).terminationProtection, false);
});

test('stages are settings that can be deployed', () => {
  for (const settings of Object.values(stages)) {
    check(settings);
  }
});

test('bad settings are refused with their name, value and what is allowed', () => {
  const { production } = stages;
  const jwt = (issuer: string, audience: string[]): Settings['api'] => ({
    ...production.api,
    authorization: { kind: 'jwt', issuer, audience },
  });
  const bad: [Partial<Settings>, RegExp][] = [
    [{ stage: 'Prod' }, /stage=Prod is not allowed; allowed: 1 to 12/],
    [
      { cache: { ...production.cache, replicas: 6 } },
      /cache.replicas=6 is not allowed; allowed: a whole number from 0 to 5/,
    ],
    [{ cache: { ...production.cache, engineVersion: '6.2' } }, /redis 6.2 is not allowed; allowed: redis 7.0 or 7.1/],
    [
      { queues: { ...production.queues, progress: { ...production.queues.progress, windowSeconds: 0 } } },
      /queues.progress.windowSeconds=0 is not allowed; allowed: a whole number from 1 to 300/,
    ],
    [
      { functions: { ...production.functions, 'queue-api': { memoryMiB: 256, timeoutSeconds: 30 } } },
      /functions.queue-api.timeoutSeconds=30 is not allowed; allowed: a whole number from 2 to 29/,
    ],
    [{ alarms: { ...production.alarms, email: 'you' } }, /alarms.email=you is not allowed; allowed: an address/],
    [
      { environment: { MILLRACE_CORS_ORIGINS: '*' } },
      /environment.MILLRACE_CORS_ORIGINS is not allowed; allowed: api.corsOrigins/,
    ],
    [
      { api: { ...production.api, corsOrigins: ['https://game.example/'] } },
      /api.corsOrigins=https:\/\/game.example\/ is not allowed; allowed: \* alone, or origins/,
    ],
    [{ api: { ...production.api, corsOrigins: ['*', 'https://game.example'] } }, /api.corsOrigins=\* is not allowed/],
    [{ environment: { PATH: '/bin' } }, /environment.PATH is not allowed/],
    [{ api: jwt('http://id.example', ['a']) }, /issuer=http:\/\/id.example is not allowed; allowed: the https:/],
    [{ api: jwt('https://id.example', []) }, /audience is empty/],
  ];
  for (const [change, message] of bad) {
    assert.throws(() => check({ ...production, ...change }), message);
  }
});

test('the emulator gets the same stack, but for what it lacks', () => {
  const real = resources(production);
  const emulated = resources(template(stages.production, true));
  assert.deepEqual(Object.keys(emulated), Object.keys(real));
  const differences: Record<string, number> = {};
  for (const [id, resource] of Object.entries(real)) {
    const other = emulated[id];
    if (JSON.stringify(other) === JSON.stringify(resource)) {
      continue;
    }
    const { Type } = resource;
    differences[Type] = (differences[Type] ?? 0) + 1;
    if (MISSING_TYPES.includes(Type)) {
      assert.equal(other?.Type, 'AWS::CloudFormation::WaitConditionHandle');
    } else {
      assert.equal(other?.Type, Type);
    }
    if (Type === 'AWS::IAM::Policy') {
      const text = JSON.stringify(other)
        .replace('"dynamodb:BatchExecuteStatement",', '')
        .replace('"sqs:SendMessageBatch",', '');
      assert.equal(text, JSON.stringify(resource), id);
    }
  }
  assert.deepEqual(differences, {
    'AWS::CloudWatch::Alarm': 18,
    'AWS::CloudWatch::CompositeAlarm': 1,
    'AWS::CodeDeploy::Application': 1,
    'AWS::CodeDeploy::DeploymentGroup': 4,
    'AWS::EC2::FlowLog': 1,
    'AWS::EC2::SecurityGroupEgress': 1,
    'AWS::EC2::SecurityGroupIngress': 2,
    'AWS::IAM::Policy': 3,
    'AWS::Lambda::Alias': 4,
  });
});
