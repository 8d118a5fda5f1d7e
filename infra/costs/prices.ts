// List prices of AWS in us-east-1, in dollars, without free tiers and discounts. The functions
// estimate their costs with the same table. They were entered by hand at its date, from the pages
// named below. Compare them before relying on the result of `make costs`.
//
// | prices | page |
// |---|---|
// | cache nodes of Redis OSS, with Valkey 20 % less; serverless with Valkey | https://aws.amazon.com/elasticache/pricing/ |
// | an interface endpoint in one zone | https://aws.amazon.com/privatelink/pricing/ |
// | Lambda, arm64 | https://aws.amazon.com/lambda/pricing/ |
// | DynamoDB | https://aws.amazon.com/dynamodb/pricing/on-demand/ |
// | SQS: a request of up to 64 KB | https://aws.amazon.com/sqs/pricing/ |
// | HTTP APIs | https://aws.amazon.com/api-gateway/pricing/ |
// | EventBridge: an event of up to 64 KB | https://aws.amazon.com/eventbridge/pricing/ |
// | CloudWatch: an alarm is billed for each metric | https://aws.amazon.com/cloudwatch/pricing/ |
// | traces | https://aws.amazon.com/xray/pricing/ |
// | a key | https://aws.amazon.com/kms/pricing/ |

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Prices {
  /** Date and region of the prices. */
  of: string;
  cacheNodeHour: Record<string, number>;
  valkeyFactor: number;
  serverlessGbHour: number;
  /** Stored bytes that are billed at least. */
  serverlessMinimumGb: number;
  ecpu: number;
  endpointHour: number;
  lambdaRequest: number;
  lambdaGbSecond: number;
  writeUnit: number;
  readUnit: number;
  tableGbMonth: number;
  recoveryGbMonth: number;
  fifoRequest: number;
  standardRequest: number;
  httpRequest: number;
  scheduledInvocation: number;
  publishedEvent: number;
  alarmMetric: number;
  compositeAlarm: number;
  customMetric: number;
  dashboard: number;
  logGb: number;
  trace: number;
  key: number;
}

export const prices = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../shared/telemetry/prices.json'), 'utf8'),
) as Prices;

/** `docs/deploying.md` states the same date. */
export const PRICES_OF = prices.of;

export const HOURS_PER_MONTH = 730;
