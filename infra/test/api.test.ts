// The HTTP API: routes, authorization, CORS and limits.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { type Settings, stages } from '../lib/settings.ts';
import { findProperties, production, propertiesOfType, synthesize } from './support.ts';

const ROUTES = [
  '$default',
  'GET /admin/performance',
  'GET /admin/players',
  'GET /admin/players/recent',
  'GET /health',
  'GET /players/{playerId}/events',
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

function productionWithApi(changes: Partial<Settings['api']>): Template {
  return synthesize({ ...stages.production, api: { ...stages.production.api, ...changes } });
}

/** Every route has the authorizer, except for the health check. */
function checkRoutes(template: Template, authorizationType: string): void {
  const routes = propertiesOfType(template, 'AWS::ApiGatewayV2::Route');
  assert.deepEqual(routes.map(({ RouteKey }) => RouteKey).toSorted(), ROUTES);
  for (const { RouteKey, AuthorizationType } of routes) {
    assert.equal(AuthorizationType, RouteKey.endsWith(' /health') ? 'NONE' : authorizationType, RouteKey);
  }
}

test('all routes except the health check require signed requests', () => {
  checkRoutes(production, 'AWS_IAM');
});

test('all routes except the health check require tokens where a provider is set', () => {
  const template = productionWithApi({
    authorization: { kind: 'jwt', issuer: 'https://id.example', audience: ['game'] },
  });
  checkRoutes(template, 'JWT');
  const [authorizer] = propertiesOfType(template, 'AWS::ApiGatewayV2::Authorizer');
  assert.deepEqual(authorizer.JwtConfiguration, { Audience: ['game'], Issuer: 'https://id.example' });
});

const ORIGINS = ['https://game.example', 'http://localhost:5173'];
const withOrigins = productionWithApi({ corsOrigins: ORIGINS });

test('API Gateway and queue-api send the same CORS headers', () => {
  const [api] = propertiesOfType(withOrigins, 'AWS::ApiGatewayV2::Api');
  const { AllowOrigins, AllowMethods, AllowHeaders, ExposeHeaders, MaxAge } = api.CorsConfiguration;
  assert.deepEqual(AllowOrigins, ORIGINS);
  assert.equal(MaxAge, 7200);
  // String literals of Rust, with continued lines joined.
  const source = readFileSync(join(import.meta.dirname, '../../functions/queue-api/src/cors.rs'), 'utf8');
  const joined = source.replaceAll(/\\\n\s*/g, '');
  for (const list of [AllowMethods, AllowHeaders, ExposeHeaders, [String(MaxAge)]]) {
    assert.ok(joined.includes(`"${list.join(', ')}"`), `cors.rs has no "${list.join(', ')}"`);
  }
});

test('preflight requests need no token', () => {
  const route = findProperties(withOrigins, 'AWS::ApiGatewayV2::Route', 'RouteKey', 'OPTIONS /{proxy+}');
  assert.equal(route.AuthorizationType, 'NONE');
});

test('only queue-api knows the origins', () => {
  for (const { FunctionName, Environment } of propertiesOfType(withOrigins, 'AWS::Lambda::Function')) {
    const expected = FunctionName === 'millrace-production-queue-api' ? ORIGINS.join(',') : undefined;
    assert.equal(Environment.Variables.MILLRACE_CORS_ORIGINS, expected, FunctionName);
  }
});

test('without origins no web page may call the API', () => {
  const [api] = propertiesOfType(production, 'AWS::ApiGatewayV2::Api');
  assert.equal(api.CorsConfiguration, undefined);
});

test('requests are limited and logged', () => {
  const [stage] = propertiesOfType(production, 'AWS::ApiGatewayV2::Stage');
  assert.deepEqual(stage.DefaultRouteSettings, {
    ThrottlingBurstLimit: 2000,
    ThrottlingRateLimit: 1000,
  });
  const health = { ThrottlingRateLimit: 5, ThrottlingBurstLimit: 10 };
  assert.deepEqual(stage.RouteSettings, { 'GET /health': health, 'HEAD /health': health });
  const format = JSON.parse(stage.AccessLogSettings.Format) as Record<string, string>;
  assert.equal(format['requestId'], '$context.requestId');
  assert.equal(format['status'], '$context.status');
});
