// The Lambda Runtime API and Extensions API for one invocation.

import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FunctionResponse {
  isError: boolean;
  body: string;
}

export class RuntimeApi {
  /** Set when the function has answered. */
  response: FunctionResponse | undefined;
  private readonly server: Server;
  private isPayloadSent = false;

  private constructor(
    private readonly payload: string,
    private readonly timeoutMs: number,
  ) {
    this.server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.once('end', () => this.handle(request.url ?? '', body, response));
    });
  }

  static async start(payload: string, timeoutMs: number): Promise<RuntimeApi> {
    const api = new RuntimeApi(payload, timeoutMs);
    await new Promise<void>((resolve) => api.server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private handle(path: string, body: string, response: ServerResponse): void {
    if (path.endsWith('/extension/register')) {
      response.writeHead(200, { 'lambda-extension-identifier': 'e-1' }).end('{}');
    } else if (path.endsWith('/extension/event/next')) {
      // Lambda answers when it has an event for the extension. There is none.
    } else if (path.endsWith('/runtime/invocation/next')) {
      this.sendPayload(response);
    } else {
      response.writeHead(202).end();
      this.response = { isError: !path.endsWith('/response'), body };
    }
  }

  private sendPayload(response: ServerResponse): void {
    if (this.isPayloadSent) {
      // There is no second invocation, so the function waits.
      return;
    }
    this.isPayloadSent = true;
    response.writeHead(200, {
      'lambda-runtime-aws-request-id': 'r-1',
      'lambda-runtime-deadline-ms': String(Date.now() + this.timeoutMs),
      'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:123456789012:function:function',
      'content-type': 'application/json',
    });
    response.end(this.payload);
  }
}
