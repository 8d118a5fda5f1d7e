// The DynamoDB tables. The queues table holds what is decided, the others hold records. The schema
// module of the DynamoDB store in shared/store creates the same tables for tests.

import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { idOf } from './construct-ids.ts';
import { removalPolicyOf, type Settings } from './settings.ts';

export const TABLE_NAMES = ['queues', 'progress', 'history', 'stats', 'rejections', 'events'] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** The index of the queues table that contains the queues with something due. */
export const DUE_INDEX = 'due';

const SORT_KEYS: Partial<Record<TableName, string>> = {
  history: 'finishedAt#sequence',
  rejections: 'receivedAt#entry',
  // The number of the first event of a commit, with leading zeros.
  events: 'firstSequence',
};

export interface TablesProps {
  prefix: string;
  /** Unset: AWS has the key. */
  key?: kms.IKey | undefined;
  settings: Settings['tables'];
  keepData: boolean;
}

export class Tables extends Construct {
  readonly byName: Record<TableName, dynamodb.Table>;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: TablesProps,
  ) {
    super(scope, id);
    this.byName = {
      queues: this.addTable('queues'),
      progress: this.addTable('progress'),
      history: this.addTable('history'),
      stats: this.addTable('stats'),
      rejections: this.addTable('rejections'),
      events: this.addTable('events'),
    };
    this.byName.queues.addGlobalSecondaryIndex({
      indexName: DUE_INDEX,
      partitionKey: { name: 'dueShard', type: dynamodb.AttributeType.NUMBER },
      sortKey: { name: 'dueAt', type: dynamodb.AttributeType.NUMBER },
      projectionType: dynamodb.ProjectionType.KEYS_ONLY,
      ...maximumThroughput(props.settings),
    });
  }

  get all(): [TableName, dynamodb.Table][] {
    return TABLE_NAMES.map((name) => [name, this.byName[name]]);
  }

  private addTable(name: TableName): dynamodb.Table {
    const { prefix, key, settings, keepData } = this.props;
    const sortKey = SORT_KEYS[name];
    return new dynamodb.Table(this, idOf(name), {
      tableName: `${prefix}${name}`,
      partitionKey: { name: 'playerId', type: dynamodb.AttributeType.STRING },
      ...(sortKey !== undefined && {
        sortKey: { name: sortKey, type: dynamodb.AttributeType.STRING },
        // A player's history, rejections and events grow with time, so these rows expire.
        timeToLiveAttribute: 'expiresAt',
      }),
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      ...maximumThroughput(settings),
      ...(key !== undefined && { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey: key }),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: keepData,
      removalPolicy: removalPolicyOf({ keepData }),
    });
  }
}

function maximumThroughput({
  maxReadUnits,
  maxWriteUnits,
}: Settings['tables']): Pick<dynamodb.TableOptions, 'maxReadRequestUnits' | 'maxWriteRequestUnits'> {
  return {
    ...(maxReadUnits !== undefined && { maxReadRequestUnits: maxReadUnits }),
    ...(maxWriteUnits !== undefined && { maxWriteRequestUnits: maxWriteUnits }),
  };
}
