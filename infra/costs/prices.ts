// List prices of AWS in us-east-1, in dollars, without free tiers and discounts. They were entered
// by hand at the date below, from the pages named beside them. Compare them before relying on the
// result of `make costs`.

/** `docs/deploying.md` states the same date. */
export const PRICES_OF = 'November 2026, us-east-1';

export const HOURS_PER_MONTH = 730;

export const prices = {
  // https://aws.amazon.com/elasticache/pricing/ : Redis OSS nodes; Valkey costs 20 % less
  cacheNodeHour: { 'cache.t4g.micro': 0.016, 'cache.m7g.large': 0.158 } as Record<string, number>,
  valkeyFactor: 0.8,
  // https://aws.amazon.com/privatelink/pricing/ : an interface endpoint in one zone
  endpointHour: 0.01,
  // https://aws.amazon.com/lambda/pricing/ : arm64
  lambdaRequest: 0.2e-6,
  lambdaGbSecond: 0.0000133334,
  // https://aws.amazon.com/dynamodb/pricing/on-demand/
  writeUnit: 0.625e-6,
  readUnit: 0.125e-6,
  tableGbMonth: 0.25,
  recoveryGbMonth: 0.2,
  // https://aws.amazon.com/sqs/pricing/ : a request of up to 64 KB
  fifoRequest: 0.5e-6,
  standardRequest: 0.4e-6,
  // https://aws.amazon.com/api-gateway/pricing/ : HTTP APIs
  httpRequest: 1e-6,
  // https://aws.amazon.com/eventbridge/pricing/ : a published event of up to 64 KB
  scheduledInvocation: 1e-6,
  publishedEvent: 1e-6,
  // https://aws.amazon.com/cloudwatch/pricing/ : an alarm is billed for each of its metrics
  alarmMetric: 0.1,
  compositeAlarm: 0.5,
  customMetric: 0.3,
  dashboard: 3,
  logGb: 0.5,
  // https://aws.amazon.com/xray/pricing/
  trace: 5e-6,
  // https://aws.amazon.com/kms/pricing/
  key: 1,
  // https://aws.amazon.com/elasticache/pricing/ : serverless, Valkey; at least 100 MB are billed
  serverlessGbHour: 0.084,
  serverlessMinimumGb: 0.1,
  ecpu: 0.0023e-6,
};
