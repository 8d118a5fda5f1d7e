// The DynamoDB actions that each function needs. The documentation of the DynamoDB store in
// shared/store lists the same actions by table.

import type { FunctionName, Settings } from './settings.ts';
import type { TableName } from './tables.ts';

/** DynamoDB actions by table; `due` is the due index of the queues table. */
export type TableAccess = Partial<Record<TableName | 'due', string[]>>;

/** Loads queues, commits them and writes their records. */
const PROCESS: TableAccess = {
  queues: ['GetItem', 'BatchGetItem', 'PutItem', 'PartiQLInsert', 'PartiQLUpdate'],
  progress: ['BatchGetItem', 'BatchWriteItem'],
  stats: ['BatchGetItem', 'BatchWriteItem'],
  history: ['BatchWriteItem'],
  rejections: ['BatchWriteItem'],
  events: ['BatchWriteItem'],
};

const ACCESS: Record<FunctionName, TableAccess> = {
  'process-tasks': PROCESS,
  // With a ticks queue it only checks that the table answers and reads what is due.
  'advance-queues': { queues: ['GetItem'], due: ['Query'] },
  'queue-api': {
    ...PROCESS,
    // The list of all players.
    queues: [...(PROCESS.queues ?? []), 'Scan'],
    history: ['Query', 'BatchWriteItem'],
    rejections: ['Query', 'BatchWriteItem'],
    events: ['Query', 'BatchWriteItem'],
    due: ['Query'],
  },
  'maintain-cache': {
    queues: ['GetItem', 'BatchGetItem'],
    progress: ['BatchGetItem'],
    // Loading a queue row from the table writes the records of its outbox again.
    stats: ['BatchGetItem', 'BatchWriteItem'],
    history: ['BatchWriteItem'],
    rejections: ['BatchWriteItem'],
    events: ['BatchWriteItem'],
    due: ['Query'],
  },
};

/**
 * The operations of all functions on a table, as CloudWatch names them. A commit of several queues
 * is a batch of PartiQL statements.
 */
export function operationsOn(table: TableName): string[] {
  const accesses = Object.values(ACCESS);
  const actions = accesses.flatMap((access) => [
    ...(access[table] ?? []),
    ...(table === 'queues' ? (access.due ?? []) : []),
  ]);
  const operations = actions.map((action) => (action.startsWith('PartiQL') ? 'BatchExecuteStatement' : action));
  return [...new Set(operations)].toSorted();
}

/** Without a ticks queue, advance-queues processes the queues itself. */
export function tableAccessOf(name: FunctionName, ticks: Settings['ticks']): TableAccess {
  const processesQueues = name === 'advance-queues' && ticks === 'direct';
  return { ...ACCESS[name], ...(processesQueues && PROCESS) };
}
