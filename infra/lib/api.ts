// The HTTP API: the routes of queue-api, their authorization and the access log.

import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as apigatewayv2 from 'aws-cdk-lib/aws-apigatewayv2';
import * as authorizers from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import * as integrations from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { idOf } from './construct-ids.ts';
import type { Settings } from './settings.ts';

const { GET, HEAD, OPTIONS, POST } = apigatewayv2.HttpMethod;

/**
 * The CORS headers. functions/queue-api sends the same ones where API Gateway is not in front of
 * it.
 */
const CORS = {
  allowMethods: [
    apigatewayv2.CorsHttpMethod.GET,
    apigatewayv2.CorsHttpMethod.HEAD,
    apigatewayv2.CorsHttpMethod.POST,
    apigatewayv2.CorsHttpMethod.OPTIONS,
  ],
  allowHeaders: [
    'authorization',
    'content-type',
    'idempotency-key',
    'if-none-match',
    'x-min-queue-version',
    'x-amz-date',
    'x-amz-security-token',
    'x-amz-content-sha256',
  ],
  exposeHeaders: ['etag', 'retry-after', 'server-timing', 'x-cache', 'x-queue-version', 'allow', 'www-authenticate'],
  maxAge: Duration.hours(2),
};

interface Route {
  method: apigatewayv2.HttpMethod;
  path: string;
  /** Set: the route has no authorizer, for this reason. */
  publicBecause?: string;
}

const HEALTH_IS_PUBLIC =
  'Monitors have no token. The answer tells only whether the store and the cache can be reached, and how fast.';
const PREFLIGHT_IS_PUBLIC =
  'A preflight request carries no token. The answer tells only what pages of the listed origins may send.';

const HEALTH = '/health';

/** The routes that queue-api knows. */
const ROUTES: Route[] = [
  { method: GET, path: HEALTH, publicBecause: HEALTH_IS_PUBLIC },
  { method: HEAD, path: HEALTH, publicBecause: HEALTH_IS_PUBLIC },
  { method: GET, path: '/players/{playerId}/queue' },
  { method: GET, path: '/players/{playerId}/tasks/{taskId}' },
  { method: GET, path: '/players/{playerId}/stats' },
  { method: GET, path: '/players/{playerId}/history' },
  { method: GET, path: '/players/{playerId}/rejections' },
  { method: GET, path: '/players/{playerId}/events' },
  { method: POST, path: '/players/{playerId}/commands' },
  { method: GET, path: '/admin/performance' },
  { method: GET, path: '/admin/players' },
  { method: GET, path: '/admin/players/recent' },
  { method: POST, path: '/admin/cache/warm' },
  { method: POST, path: '/admin/cache/clear' },
  { method: POST, path: '/admin/cache/rebuild' },
  { method: POST, path: '/admin/cache/emergency-mode' },
];

const ACCESS_LOG_FIELDS = {
  requestId: '$context.requestId',
  time: '$context.requestTime',
  caller: '$context.authorizer.claims.sub$context.identity.userArn',
  ip: '$context.identity.sourceIp',
  route: '$context.routeKey',
  path: '$context.path',
  status: '$context.status',
  bytes: '$context.responseLength',
  latencyMs: '$context.responseLatency',
  functionMs: '$context.integrationLatency',
  error: '$context.integrationErrorMessage$context.authorizer.error',
};

export interface ApiProps {
  prefix: string;
  settings: Settings['api'];
  handler: lambda.IFunction;
  logRetention: logs.RetentionDays;
}

export class Api extends Construct {
  readonly api: apigatewayv2.HttpApi;
  readonly stage: apigatewayv2.HttpStage;
  private readonly integration: integrations.HttpLambdaIntegration;
  private readonly authorizer: apigatewayv2.IHttpRouteAuthorizer;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: ApiProps,
  ) {
    super(scope, id);
    const { settings } = props;
    const hasCors = settings.corsOrigins.length > 0;
    this.api = new apigatewayv2.HttpApi(this, 'Http', {
      apiName: `${props.prefix}api`,
      createDefaultStage: false,
      // API Gateway answers preflight requests and replaces the CORS headers of the function.
      ...(hasCors && { corsPreflight: { allowOrigins: settings.corsOrigins, ...CORS } }),
    });
    this.stage = this.addStage();
    this.integration = new integrations.HttpLambdaIntegration('QueueApi', props.handler);
    this.authorizer = authorizerOf(settings);
    for (const route of ROUTES) {
      const added = this.addRoute(route);
      if (route.path === HEALTH) {
        this.throttle(added, settings.healthRequestsPerSecond);
      }
    }
    // HEAD, OPTIONS and unknown routes: the function answers them.
    new apigatewayv2.HttpRoute(this, 'EverythingElse', {
      httpApi: this.api,
      routeKey: apigatewayv2.HttpRouteKey.DEFAULT,
      integration: this.integration,
      authorizer: this.authorizer,
    });
    if (hasCors) {
      // The authorizer of the default route would refuse preflight requests.
      this.addRoute({ method: OPTIONS, path: '/{proxy+}', publicBecause: PREFLIGHT_IS_PUBLIC });
    }
  }

  private addStage(): apigatewayv2.HttpStage {
    const { prefix, settings, logRetention } = this.props;
    const accessLog = new logs.LogGroup(this, 'AccessLog', {
      logGroupName: `/aws/vendedlogs/${prefix}api`,
      retention: logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    return new apigatewayv2.HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle: { rateLimit: settings.requestsPerSecond, burstLimit: settings.burst },
      accessLogSettings: {
        destination: new apigatewayv2.LogGroupLogDestination(accessLog),
        format: apigateway.AccessLogFormat.custom(JSON.stringify(ACCESS_LOG_FIELDS)),
      },
    });
  }

  private addRoute({ method, path, publicBecause }: Route): apigatewayv2.HttpRoute {
    const route = new apigatewayv2.HttpRoute(this, idOf(`${method.toLowerCase()}${path}`), {
      httpApi: this.api,
      routeKey: apigatewayv2.HttpRouteKey.with(path, method),
      integration: this.integration,
      authorizer: publicBecause === undefined ? this.authorizer : new apigatewayv2.HttpNoneAuthorizer(),
    });
    if (publicBecause !== undefined) {
      Validations.of(route).acknowledge({ id: 'AwsSolutions-APIG4', reason: publicBecause });
    }
    return route;
  }

  /** Gives a route a lower limit than that of the stage. */
  private throttle(route: apigatewayv2.HttpRoute, requestsPerSecond: number): void {
    const stage = this.stage.node.defaultChild as apigatewayv2.CfnStage;
    const { routeKey } = route.node.defaultChild as apigatewayv2.CfnRoute;
    stage.addPropertyOverride(`RouteSettings.${routeKey}`, {
      ThrottlingRateLimit: requestsPerSecond,
      ThrottlingBurstLimit: 2 * requestsPerSecond,
    });
    // A stage may only limit routes that exist.
    stage.node.addDependency(route);
  }
}

function authorizerOf({ authorization }: Settings['api']): apigatewayv2.IHttpRouteAuthorizer {
  switch (authorization.kind) {
    case 'iam':
      return new authorizers.HttpIamAuthorizer();
    case 'jwt':
      return new authorizers.HttpJwtAuthorizer('Players', authorization.issuer, {
        jwtAudience: authorization.audience,
      });
  }
}
