// The services that a user of the deployed system talks to, each as one thing that can be asked.

import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:https';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import {
  type AttributeValue,
  DeleteItemCommand,
  DynamoDBClient,
  ListTablesCommand,
  PutItemCommand,
  paginateQuery,
  paginateScan,
} from '@aws-sdk/client-dynamodb';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient } from '@aws-sdk/client-iam';
import { GetAliasCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { REGION } from './servers.ts';

/** A row, as plain values. */
export type Row = Record<string, unknown>;

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

/** The owner of the account. */
const ROOT_CREDENTIALS: Credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

export class Aws {
  private readonly agent: Agent;
  private readonly cloudFormation: CloudFormationClient;
  private readonly dynamoDb: DynamoDBClient;
  private readonly eventBridge: EventBridgeClient;
  private readonly iam: IAMClient;
  private readonly lambda: LambdaClient;
  private readonly logs: CloudWatchLogsClient;
  private readonly sqs: SQSClient;

  constructor(
    private readonly endpoint: string,
    private readonly ca: Buffer,
    credentials = ROOT_CREDENTIALS,
  ) {
    this.agent = new Agent({ ca, keepAlive: true, maxSockets: 20 });
    const config = {
      endpoint,
      region: REGION,
      credentials,
      requestHandler: { httpsAgent: this.agent, requestTimeout: 30_000 },
      maxAttempts: 5,
    };
    this.cloudFormation = new CloudFormationClient(config);
    this.dynamoDb = new DynamoDBClient(config);
    this.eventBridge = new EventBridgeClient(config);
    this.iam = new IAMClient(config);
    this.lambda = new LambdaClient(config);
    this.logs = new CloudWatchLogsClient(config);
    this.sqs = new SQSClient(config);
  }

  /** The outputs of a stack; none where there is no such stack. */
  async outputs(stack: string): Promise<Record<string, string> | undefined> {
    try {
      const { Stacks } = await this.cloudFormation.send(new DescribeStacksCommand({ StackName: stack }));
      const outputs = Stacks?.[0]?.Outputs ?? [];
      return Object.fromEntries(outputs.map(({ OutputKey, OutputValue }) => [OutputKey ?? '', OutputValue ?? '']));
    } catch (error) {
      if (String(error).includes('does not exist')) {
        return undefined;
      }
      throw error;
    }
  }

  /** Sends a body; to a FIFO queue, in the message group of a player. */
  async send(queueUrl: string, body: object | string, player?: string): Promise<void> {
    await this.sqs.send(
      new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: typeof body === 'string' ? body : JSON.stringify(body),
        ...(player !== undefined && { MessageGroupId: player, MessageDeduplicationId: randomUUID() }),
      }),
    );
  }

  /** Messages that wait or are being processed. */
  async depth(queueUrl: string): Promise<number> {
    const { Attributes } = await this.sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: queueUrl,
        AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
      }),
    );
    return Object.values(Attributes ?? {}).reduce((sum, value) => sum + Number(value), 0);
  }

  /** Takes messages out for good. */
  async take(queueUrl: string): Promise<Message[]> {
    const { Messages = [] } = await this.sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }),
    );
    for (const { ReceiptHandle } of Messages) {
      await this.sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }));
    }
    return Messages;
  }

  async putEvent(bus: string, detailType: string, detail: object): Promise<void> {
    const entry = { EventBusName: bus, Source: 'game.server', DetailType: detailType, Detail: JSON.stringify(detail) };
    const { FailedEntryCount } = await this.eventBridge.send(new PutEventsCommand({ Entries: [entry] }));
    if (FailedEntryCount !== 0) {
      throw new Error(`the bus did not take ${JSON.stringify(entry)}`);
    }
  }

  async invoke(name: string, payload: object): Promise<{ failed: boolean; answer: Row }> {
    const { FunctionError, Payload } = await this.lambda.send(
      new InvokeCommand({ FunctionName: name, Qualifier: 'live', Payload: JSON.stringify(payload) }),
    );
    return { failed: FunctionError !== undefined, answer: JSON.parse(Buffer.from(Payload ?? []).toString()) as Row };
  }

  async liveVersion(name: string): Promise<number> {
    const { FunctionVersion } = await this.lambda.send(new GetAliasCommand({ FunctionName: name, Name: 'live' }));
    return Number(FunctionVersion);
  }

  /** The rows of a player, in their order. */
  async rows(table: string, player: string): Promise<Row[]> {
    const rows: Row[] = [];
    const pages = paginateQuery(
      { client: this.dynamoDb },
      {
        TableName: table,
        KeyConditionExpression: 'playerId = :player',
        ExpressionAttributeValues: { ':player': { S: player } },
        ConsistentRead: true,
      },
    );
    for await (const { Items = [] } of pages) {
      rows.push(...Items.map(plain));
    }
    return rows;
  }

  /** What a player has achieved, as the table of totals has it; nothing where it has no row. */
  async totals(table: string, player: string): Promise<Row> {
    const [row] = await this.rows(table, player);
    return (row?.['totals'] ?? {}) as Row;
  }

  async all(table: string): Promise<Row[]> {
    const rows: Row[] = [];
    for await (const { Items = [] } of paginateScan(
      { client: this.dynamoDb },
      { TableName: table, ConsistentRead: true },
    )) {
      rows.push(...Items.map(plain));
    }
    return rows;
  }

  async put(table: string, item: Record<string, AttributeValue>): Promise<void> {
    await this.dynamoDb.send(new PutItemCommand({ TableName: table, Item: item }));
  }

  async delete(table: string, player: string): Promise<void> {
    await this.dynamoDb.send(new DeleteItemCommand({ TableName: table, Key: { playerId: { S: player } } }));
  }

  async tables(): Promise<string[]> {
    return (await this.dynamoDb.send(new ListTablesCommand({}))).TableNames ?? [];
  }

  /** The lines that a function has logged and that are JSON. */
  async logLines(name: string): Promise<Row[]> {
    const lines: Row[] = [];
    let nextToken: string | undefined;
    do {
      const page = await this.logs.send(
        new FilterLogEventsCommand({
          logGroupName: `/aws/lambda/${name}`,
          ...(nextToken !== undefined && { nextToken }),
        }),
      );
      for (const { message = '' } of page.events ?? []) {
        // One event may hold what was written at once.
        for (const line of message.split('\n').filter((line) => line.startsWith('{'))) {
          lines.push(JSON.parse(line) as Row);
        }
      }
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    return lines;
  }

  /** Somebody of this account who may do nothing. */
  async stranger(): Promise<Aws> {
    await this.iam.send(new CreateUserCommand({ UserName: 'stranger' }));
    const { AccessKey } = await this.iam.send(new CreateAccessKeyCommand({ UserName: 'stranger' }));
    const [accessKeyId, secretAccessKey] = [AccessKey?.AccessKeyId ?? '', AccessKey?.SecretAccessKey ?? ''];
    return new Aws(this.endpoint, this.ca, { accessKeyId, secretAccessKey });
  }

  /** A request to the HTTP API. Its name leads nowhere here, so it is only said. */
  http(apiUrl: string, method: string, path: string, token?: string, body?: object): Promise<HttpAnswer> {
    const { host } = new URL(apiUrl);
    return new Promise((resolve, reject) => {
      const headers = {
        host,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      };
      const asked = request(
        `${this.endpoint}${path}`,
        { method, headers, agent: this.agent, servername: 'localhost' },
        (answer) => {
          let text = '';
          answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
          answer.once('end', () => {
            const json = text !== '' && (answer.headers['content-type'] ?? '').includes('json');
            resolve({
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              body: (json ? JSON.parse(text) : { text }) as Row,
            });
          });
        },
      );
      asked.once('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Row;
}

/** Attribute values as what they stand for. Numbers here are small. */
function plain(item: Record<string, AttributeValue>): Row {
  const value = (attribute: AttributeValue): unknown => {
    if (attribute.N !== undefined) return Number(attribute.N);
    if (attribute.M !== undefined) return plain(attribute.M);
    if (attribute.L !== undefined) return attribute.L.map(value);
    return attribute.S ?? attribute.BOOL ?? attribute.B ?? null;
  };
  return Object.fromEntries(Object.entries(item).map(([name, attribute]) => [name, value(attribute)]));
}
