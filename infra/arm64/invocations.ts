// The payload for each function, and what its answer must be.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../e2e/requirements.ts';
import type { FunctionName } from '../lib/settings.ts';

export interface Invocation {
  payload: string;
  isExpected: (answer: Record<string, unknown>) => boolean;
}

const HEALTH_REQUEST = {
  version: '2.0',
  routeKey: 'GET /health',
  rawPath: '/health',
  rawQueryString: '',
  headers: { host: 'localhost' },
  requestContext: {
    accountId: '123456789012',
    apiId: 'api',
    domainName: 'localhost',
    domainPrefix: 'api',
    http: { method: 'GET', path: '/health', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
    requestId: 'r-1',
    routeKey: 'GET /health',
    stage: '$default',
    time: '01/Jan/2026:00:00:00 +0000',
    timeEpoch: 1767225600000,
  },
  isBase64Encoded: false,
};

export const invocations: Record<FunctionName, Invocation> = {
  'process-tasks': {
    payload: readFileSync(join(ROOT, 'events/01-sqs-commands-fifo.json'), 'utf8'),
    isExpected: ({ batchItemFailures }) => Array.isArray(batchItemFailures) && batchItemFailures.length === 0,
  },
  'advance-queues': { payload: '{}', isExpected: ({ report }) => report !== undefined },
  'queue-api': { payload: JSON.stringify(HEALTH_REQUEST), isExpected: ({ statusCode }) => statusCode === 200 },
  'maintain-cache': {
    payload: '{"action":"statistics"}',
    isExpected: ({ errorType }) => errorType === undefined,
  },
};
