// Creates the tables of the stack in an emulator.

import {
  type AttributeDefinition,
  CreateTableCommand,
  DynamoDBClient,
  type GlobalSecondaryIndex,
  type KeySchemaElement,
} from '@aws-sdk/client-dynamodb';
import { Template } from 'aws-cdk-lib/assertions';
import { ADMINISTRATOR, REGION } from '../e2e/ministack.ts';
import { createApp } from '../lib/app.ts';
import { createPlaceholderFunctions } from '../lib/placeholder-functions.ts';
import { prefixOf, stages } from '../lib/settings.ts';
import { MillraceStack } from '../lib/stack.ts';

export const TABLE_PREFIX = prefixOf(stages.dev);

interface TableResource {
  Properties: {
    TableName: string;
    KeySchema: KeySchemaElement[];
    AttributeDefinitions: AttributeDefinition[];
    GlobalSecondaryIndexes?: GlobalSecondaryIndex[];
  };
}

export async function createTables(endpoint: string): Promise<void> {
  const client = new DynamoDBClient({ endpoint, region: REGION, credentials: ADMINISTRATOR });
  const props = { settings: stages.dev, codeDirectory: createPlaceholderFunctions() };
  const template = Template.fromStack(new MillraceStack(createApp({ checked: false }), props));
  const tables = Object.values(template.findResources('AWS::DynamoDB::Table')) as TableResource[];
  for (const { Properties } of tables) {
    const { TableName, KeySchema, AttributeDefinitions, GlobalSecondaryIndexes } = Properties;
    await client.send(
      new CreateTableCommand({
        TableName,
        KeySchema,
        AttributeDefinitions,
        ...(GlobalSecondaryIndexes !== undefined && { GlobalSecondaryIndexes }),
        BillingMode: 'PAY_PER_REQUEST',
      }),
    );
  }
  client.destroy();
}
