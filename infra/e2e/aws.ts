// The AWS services that the test calls.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import {
  CloudFormationClient,
  DescribeStacksCommand,
  UpdateTerminationProtectionCommand,
} from '@aws-sdk/client-cloudformation';
import { CloudWatchLogsClient, paginateFilterLogEvents } from '@aws-sdk/client-cloudwatch-logs';
import {
  DeleteItemCommand,
  DeleteTableCommand,
  DynamoDBClient,
  ListTablesCommand,
  PutItemCommand,
  paginateQuery,
  paginateScan,
  UpdateTableCommand,
} from '@aws-sdk/client-dynamodb';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient } from '@aws-sdk/client-iam';
import { GetAliasCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import { ADMINISTRATOR, REGION } from './ministack.ts';

/** A row of a table, a log line or an answer, as plain values. */
export type Row = Record<string, unknown>;

/** A message of a queue. */
export interface Message {
  body: string;
  /** The message group; of a FIFO queue. */
  group: string | undefined;
}

export interface InvocationResult {
  failed: boolean;
  answer: Row;
}

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
    /** Path of the certificate authority. */
    private readonly authority: string,
    credentials = ADMINISTRATOR,
  ) {
    this.agent = new Agent({ ca: readFileSync(authority), keepAlive: true, maxSockets: 20 });
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

  /** The outputs of a stack, or undefined if the stack does not exist. */
  async stackOutputs(stack: string): Promise<Record<string, string> | undefined> {
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

  /** Allows that a stack is deleted. */
  async unprotectStack(stack: string): Promise<void> {
    const command = new UpdateTerminationProtectionCommand({ StackName: stack, EnableTerminationProtection: false });
    await this.cloudFormation.send(command);
  }

  /** Deletes a table that is protected from deletion. */
  async deleteProtectedTable(table: string): Promise<void> {
    await this.dynamoDb.send(new UpdateTableCommand({ TableName: table, DeletionProtectionEnabled: false }));
    await this.dynamoDb.send(new DeleteTableCommand({ TableName: table }));
  }

  /**
   * Sends a message with the player as its group. A FIFO queue requires the group, and a standard
   * queue is fair by it.
   */
  async sendMessage(queueUrl: string, body: object | string, player?: string): Promise<void> {
    await this.sqs.send(
      new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: typeof body === 'string' ? body : JSON.stringify(body),
        ...(player !== undefined && { MessageGroupId: player }),
        ...(queueUrl.endsWith('.fifo') && { MessageDeduplicationId: randomUUID() }),
      }),
    );
  }

  /** Receives up to ten messages and deletes them. Waits a second for the first one. */
  async takeMessages(queueUrl: string): Promise<Message[]> {
    const { Messages = [] } = await this.sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: 1,
        MessageSystemAttributeNames: ['MessageGroupId'],
      }),
    );
    if (Messages.length > 0) {
      const entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
      await this.sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries }));
    }
    return Messages.map(({ Body = '', Attributes }) => ({ body: Body, group: Attributes?.MessageGroupId }));
  }

  /** The number of messages that wait or are being processed. */
  async queueDepth(queueUrl: string): Promise<number> {
    const { Attributes } = await this.sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: queueUrl,
        AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
      }),
    );
    return Object.values(Attributes ?? {}).reduce((sum, value) => sum + Number(value), 0);
  }

  /** Puts an event on a bus and returns its id. */
  async putEvent(bus: string, detailType: string, detail: object, source = 'game.server'): Promise<string> {
    const entry = { EventBusName: bus, Source: source, DetailType: detailType, Detail: JSON.stringify(detail) };
    const { Entries } = await this.eventBridge.send(new PutEventsCommand({ Entries: [entry] }));
    const id = Entries?.[0]?.EventId;
    if (id === undefined) {
      throw new Error(`the event bus refused ${JSON.stringify(entry)}`);
    }
    return id;
  }

  /** Invokes the live version of a function. */
  async invoke(name: string, payload: object): Promise<InvocationResult> {
    const { FunctionError, Payload } = await this.lambda.send(
      new InvokeCommand({ FunctionName: name, Qualifier: 'live', Payload: JSON.stringify(payload) }),
    );
    return { failed: FunctionError !== undefined, answer: JSON.parse(Buffer.from(Payload ?? []).toString()) as Row };
  }

  async liveVersion(name: string): Promise<number> {
    const { FunctionVersion } = await this.lambda.send(new GetAliasCommand({ FunctionName: name, Name: 'live' }));
    return Number(FunctionVersion);
  }

  /** The rows of a player in the order of their sort key. */
  async rowsOf(table: string, player: string): Promise<Row[]> {
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
      rows.push(...Items.map((item) => unmarshall(item)));
    }
    return rows;
  }

  /** The totals of a player from the stats table. Empty if the player has no row. */
  async totalsOf(table: string, player: string): Promise<Row> {
    const [row] = await this.rowsOf(table, player);
    return (row?.['totals'] ?? {}) as Row;
  }

  async allRows(table: string): Promise<Row[]> {
    const rows: Row[] = [];
    const pages = paginateScan({ client: this.dynamoDb }, { TableName: table, ConsistentRead: true });
    for await (const { Items = [] } of pages) {
      rows.push(...Items.map((item) => unmarshall(item)));
    }
    return rows;
  }

  async putRow(table: string, row: Row): Promise<void> {
    await this.dynamoDb.send(new PutItemCommand({ TableName: table, Item: marshall(row) }));
  }

  async deleteRow(table: string, player: string): Promise<void> {
    await this.dynamoDb.send(new DeleteItemCommand({ TableName: table, Key: { playerId: { S: player } } }));
  }

  async tableNames(): Promise<string[]> {
    return (await this.dynamoDb.send(new ListTablesCommand({}))).TableNames ?? [];
  }

  /** The lines of JSON in the log of a function. */
  async logLines(name: string): Promise<Row[]> {
    const lines: Row[] = [];
    const pages = paginateFilterLogEvents({ client: this.logs }, { logGroupName: `/aws/lambda/${name}` });
    for await (const { events = [] } of pages) {
      for (const { message = '' } of events) {
        // Lines that are written at once become one log event.
        const json = message.split('\n').filter((line) => line.startsWith('{'));
        lines.push(...json.map((line) => JSON.parse(line) as Row));
      }
    }
    return lines;
  }

  /** The same services for a new user of the account that has no permissions. */
  async withoutPermissions(): Promise<Aws> {
    const user = { UserName: 'without-permissions' };
    await this.iam.send(new CreateUserCommand(user));
    const { AccessKey } = await this.iam.send(new CreateAccessKeyCommand(user));
    const credentials = {
      accessKeyId: AccessKey?.AccessKeyId ?? '',
      secretAccessKey: AccessKey?.SecretAccessKey ?? '',
    };
    return new Aws(this.endpoint, this.authority, credentials);
  }

  close(): void {
    this.agent.destroy();
  }
}
