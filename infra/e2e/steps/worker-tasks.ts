// The tasks that the workers of the test do, and what has to come of them.

import type { Resources } from '../events/event.ts';

export const WORK_PLAYERS = Array.from({ length: 8 }, (_, index) => `work-player-${index}`);
export const TASKS_OF_A_PLAYER = 25;

/** The time without a report after which an attempt fails. */
export const HEARTBEAT_MS = 8_000;

/** The kinds, and the resources that their workers make. */
const KINDS = { 'harvest.wood': 'wood', 'forge.iron': 'iron', 'mine.stone': 'stone' } as const;

export interface WorkTask {
  taskId: string;
  kind: string;
  /** The result of its worker. */
  result: Resources;
  command: object;
}

/** Every eighth task takes longer than `HEARTBEAT_MS`. */
export const WORK_TASKS: WorkTask[] = Array.from({ length: TASKS_OF_A_PLAYER }, (_, index) => {
  const kinds = Object.entries(KINDS);
  const [kind, resource] = kinds[index % kinds.length] as (typeof kinds)[number];
  const taskId = `t-${index}`;
  const isLong = index % 8 === 3;
  const payload = isLong ? { pieces: 10, msPerPiece: 1_000 } : { pieces: 1 + (index % 5), msPerPiece: 40 };
  const command = {
    taskId,
    kind,
    payload,
    work: { units: 100, heartbeatMs: HEARTBEAT_MS, timeoutMs: 60_000 },
    maxRetries: 10,
    retryDelayMs: 500,
    priority: index % 7 === 0 ? 'high' : 'normal',
    prerequisites: index % 5 === 4 ? [`t-${index - 1}`] : [],
    costs: { gold: 2 },
    rewards: { coins: index + 1 },
  };
  return { taskId, kind, result: { [resource]: payload.pieces }, command };
});

/** A reported task that no worker does. It keeps a slot until the end. */
export const UNATTENDED_TASK = 'unattended';

/**
 * The commands of a player, each as one message: the tasks of the workers, and every other sort of
 * change of a queue.
 */
export function commandsOf(playerId: string): object[] {
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  const timed = { kind: 'rest', work: { durationMs: 300 }, rewards: { stamina: 1 } };
  const unattended = { kind: 'guard.gate', work: { units: 4 } };
  const unaffordable = { kind: 'harvest.gems', work: { units: 1 }, costs: { gems: 1_000 } };
  const others = [
    { taskId: 'refunded', ...unattended, priority: 'critical', costs: { gold: 7 } },
    { taskId: UNATTENDED_TASK, ...unattended, priority: 'low' },
    { taskId: 'rest-1', ...timed },
    { taskId: 'rest-2', ...timed, prerequisites: ['rest-1'] },
    { taskId: 'invalid', kind: 'harvest.wood', payload: { pieces: 0 }, work: { units: 1 }, costs: { gold: 1 } },
    { taskId: 'after-invalid', ...timed, prerequisites: ['invalid'] },
    { taskId: 'cancelled', ...unaffordable },
    { taskId: 'after-cancelled', ...timed, prerequisites: ['cancelled'] },
    { taskId: 'unaffordable-1', ...unaffordable },
    { taskId: 'unaffordable-2', ...unaffordable },
    { taskId: 'unaffordable-3', ...unaffordable, notBefore: inAnHour },
  ];
  const tasks = WORK_TASKS.map(({ command }) => command);
  const batches = [0, 1, 2, 3, 4].map((index) => tasks.slice(5 * index, 5 * index + 5));
  return [
    { type: 'configureQueue', slots: 4, maxTasks: 60 },
    { type: 'grantResources', resources: { gold: 100, gems: 2 } },
    { type: 'enqueueTasks', commandId: 'others', tasks: others },
    ...batches.map((batch, index) => ({ type: 'enqueueTasks', commandId: `tasks-${index}`, tasks: batch })),
    { type: 'enqueueTasks', commandId: 'refused', tasks: batches[0] },
    { type: 'cancelTask', taskId: 'refunded' },
    { type: 'cancelTask', taskId: 'cancelled' },
    { type: 'moveToFront', taskId: 'unaffordable-2' },
    { type: 'setPriority', taskId: 'unaffordable-3', priority: 'high' },
  ].map((command) => ({ ...command, playerId }));
}

/** What a player holds in the end: grants and rewards without the costs of tasks that started. */
export function expectedBalances(): Resources {
  const coins = (TASKS_OF_A_PLAYER * (TASKS_OF_A_PLAYER + 1)) / 2;
  return { gold: 100 - 2 * TASKS_OF_A_PLAYER - 1, gems: 2, coins, stamina: 2 };
}
