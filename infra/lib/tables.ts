// The five tables. The queues table decides, the others record; shared/store makes the same ones for tests.

import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { removalPolicyOf } from './settings.ts';

export const TABLE_NAMES = ['queues', 'progress', 'history', 'stats', 'rejections'] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** The index of queues with something due. */
export const DUE_INDEX = 'due';

const SORT_KEYS: Partial<Record<TableName, string>> = {
  history: 'finishedAt#taskId',
  rejections: 'receivedAt#commandId',
};

export interface TablesProps {
  prefix: string;
  key: kms.IKey;
  keepData: boolean;
}

export class Tables extends Construct {
  readonly byName: Record<TableName, dynamodb.Table>;

  constructor(scope: Construct, id: string, props: TablesProps) {
    super(scope, id);
    const table = (name: TableName): dynamodb.Table => {
      const sortKey = SORT_KEYS[name];
      return new dynamodb.Table(this, name, {
        tableName: `${props.prefix}${name}`,
        partitionKey: { name: 'playerId', type: dynamodb.AttributeType.STRING },
        ...(sortKey !== undefined && {
          sortKey: { name: sortKey, type: dynamodb.AttributeType.STRING },
          // What is kept by player and time ends some time; a queue does not.
          timeToLiveAttribute: 'expiresAt',
        }),
        billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryptionKey: props.key,
        pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
        deletionProtection: props.keepData,
        removalPolicy: removalPolicyOf(props),
      });
    };
    this.byName = {
      queues: table('queues'),
      progress: table('progress'),
      history: table('history'),
      stats: table('stats'),
      rejections: table('rejections'),
    };
    this.byName.queues.addGlobalSecondaryIndex({
      indexName: DUE_INDEX,
      partitionKey: { name: 'dueShard', type: dynamodb.AttributeType.NUMBER },
      sortKey: { name: 'dueAt', type: dynamodb.AttributeType.NUMBER },
      projectionType: dynamodb.ProjectionType.KEYS_ONLY,
    });
  }

  get all(): [TableName, dynamodb.Table][] {
    return TABLE_NAMES.map((name) => [name, this.byName[name]]);
  }
}
