// The HTTP API: the routes of queue-api, who may call them, and what is written down about it.

import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as api from 'aws-cdk-lib/aws-apigatewayv2';
import * as authorizers from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import * as integrations from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Settings } from './settings.ts';

const { GET, HEAD, OPTIONS, POST } = api.HttpMethod;

/** What pages of other origins are told: the same as by the function (functions/queue-api/src/cors.rs). */
const CORS = {
  allowMethods: [api.CorsHttpMethod.GET, api.CorsHttpMethod.HEAD, api.CorsHttpMethod.POST, api.CorsHttpMethod.OPTIONS],
  allowHeaders: [
    'authorization',
    'content-type',
    'if-none-match',
    'x-min-queue-version',
    'x-amz-date',
    'x-amz-security-token',
    'x-amz-content-sha256',
  ],
  exposeHeaders: ['etag', 'retry-after', 'server-timing', 'x-cache', 'x-queue-version', 'allow', 'www-authenticate'],
  maxAge: Duration.hours(2),
};

/** Routes as queue-api knows them. `open`: for whoever asks, such as a monitor. */
export const ROUTES: { method: api.HttpMethod; path: string; open?: true }[] = [
  { method: GET, path: '/health', open: true },
  { method: HEAD, path: '/health', open: true },
  { method: GET, path: '/players/{playerId}/queue' },
  { method: GET, path: '/players/{playerId}/tasks/{taskId}' },
  { method: GET, path: '/players/{playerId}/stats' },
  { method: GET, path: '/players/{playerId}/history' },
  { method: GET, path: '/players/{playerId}/rejections' },
  { method: POST, path: '/players/{playerId}/commands' },
  { method: GET, path: '/admin/performance' },
  { method: POST, path: '/admin/cache/warm' },
  { method: POST, path: '/admin/cache/clear' },
  { method: POST, path: '/admin/cache/rebuild' },
  { method: POST, path: '/admin/cache/emergency-mode' },
];

export interface ApiProps {
  prefix: string;
  settings: Settings['api'];
  handler: lambda.IFunction;
  logRetention: logs.RetentionDays;
}

export class Api extends Construct {
  readonly api: api.HttpApi;
  readonly stage: api.HttpStage;

  constructor(scope: Construct, id: string, props: ApiProps) {
    super(scope, id);
    const { settings } = props;
    this.api = new api.HttpApi(this, 'Http', {
      apiName: `${props.prefix}api`,
      createDefaultStage: false,
      ...(settings.corsOrigins.length > 0 && {
        // API Gateway answers preflights, and puts its own headers in the place of the function's.
        corsPreflight: { allowOrigins: settings.corsOrigins, ...CORS },
      }),
    });

    const accessLog = new logs.LogGroup(this, 'AccessLog', {
      logGroupName: `/aws/vendedlogs/${props.prefix}api`,
      retention: props.logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.stage = new api.HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle: { rateLimit: settings.requestsPerSecond, burstLimit: settings.burst },
      accessLogSettings: {
        destination: new api.LogGroupLogDestination(accessLog),
        format: apigateway.AccessLogFormat.custom(
          JSON.stringify({
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
          }),
        ),
      },
    });

    const integration = new integrations.HttpLambdaIntegration('QueueApi', props.handler);
    const authorizer = authorizerOf(settings);
    const add = (method: api.HttpMethod, path: string, reasonToBeOpen?: string) => {
      const open = reasonToBeOpen !== undefined;
      const routes = this.api.addRoutes({
        path,
        methods: [method],
        integration,
        authorizer: open ? new api.HttpNoneAuthorizer() : authorizer,
      });
      if (open) {
        for (const route of routes) {
          Validations.of(route).acknowledge({ id: 'AwsSolutions-APIG4', reason: reasonToBeOpen });
        }
      }
    };
    const monitors =
      'Monitors ask without a token. The answer tells whether the store and the cache can be reached, and how fast.';
    for (const { method, path, open } of ROUTES) {
      add(method, path, open ? monitors : undefined);
    }
    // HEAD, OPTIONS, and what there is not: the function has the answer.
    new api.HttpRoute(this, 'Everything else', {
      httpApi: this.api,
      routeKey: api.HttpRouteKey.DEFAULT,
      integration,
      authorizer,
    });
    if (settings.corsOrigins.length > 0) {
      // Browsers ask before they say who they are, and the route for everything else would not let them.
      add(
        OPTIONS,
        '/{proxy+}',
        'A preflight carries no token. Without one the function tells nothing but what pages of the listed origins may send.',
      );
    }
  }
}

function authorizerOf({ authorization }: Settings['api']): api.IHttpRouteAuthorizer {
  switch (authorization.kind) {
    case 'iam':
      return new authorizers.HttpIamAuthorizer();
    case 'jwt':
      return new authorizers.HttpJwtAuthorizer('Players', authorization.issuer, {
        jwtAudience: authorization.audience,
      });
  }
}
