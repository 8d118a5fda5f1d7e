// A client of the HTTP API. The host name of the API has no address here, so requests go to
// MiniStack and carry the name in the Host header.

import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { Row } from './aws.ts';

export interface HttpRequest {
  /** Bearer token. */
  token?: string;
  body?: object;
}

export interface HttpResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The JSON body, or `text` for another one. */
  body: Row;
}

export class HttpApi {
  private readonly agent: Agent;

  constructor(
    private readonly endpoint: string,
    /** Path of the certificate authority. */
    authority: string,
    private readonly apiUrl: string,
  ) {
    this.agent = new Agent({ ca: readFileSync(authority), keepAlive: true });
  }

  send(method: string, path: string, { token, body }: HttpRequest = {}): Promise<HttpResponse> {
    const headers = {
      host: new URL(this.apiUrl).host,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const options = { method, headers, agent: this.agent, servername: 'localhost' };
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.endpoint}${path}`, options, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.once('end', () => {
          const isJson = text !== '' && (response.headers['content-type'] ?? '').includes('json');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: isJson ? (JSON.parse(text) as Row) : { text },
          });
        });
      });
      outgoing.once('error', reject);
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async statusOf(method: string, path: string, options: HttpRequest = {}): Promise<number> {
    return (await this.send(method, path, options)).status;
  }

  close(): void {
    this.agent.destroy();
  }
}
