// Traffic of players during the whole test, and the check of its results at the end.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Aws } from './aws.ts';
import { TABLES } from './stack.ts';

/** Between two commands of a player. Every task is finished before the next command is sent. */
const PAUSE_MS = 1_000;
/** Of so many commands, one is sent twice. */
const REPEAT_EVERY = 5;

interface Player {
  id: string;
  /** Number of tasks sent. */
  sent: number;
}

/**
 * Players that queue one task after another. Each task has the one before it as its prerequisite,
 * so that a command out of order would be rejected.
 */
export class Traffic {
  private readonly players: Player[];
  private running = true;
  private readonly ended: Promise<unknown>;

  constructor(
    private readonly aws: Aws,
    private readonly queueUrl: string,
    playerCount: number,
  ) {
    this.players = Array.from({ length: playerCount }, (_, index) => ({ id: `player-${index}`, sent: 0 }));
    this.ended = Promise.all(this.players.map((player) => this.sendCommandsOf(player)));
    // `stop` reports the failure. Without a handler, Node would end the process before.
    this.ended.catch(() => {});
  }

  get sent(): number {
    return this.players.reduce((sum, { sent }) => sum + sent, 0);
  }

  get playerCount(): number {
    return this.players.length;
  }

  /** Stops sending. All commands are in the queue when it returns. */
  async stop(): Promise<void> {
    this.running = false;
    await this.ended;
  }

  /** Checks that every task of every player was finished once, in order, and rewarded once. */
  async verify(): Promise<void> {
    for (const { id, sent } of this.players) {
      const history = await this.aws.rowsOf(TABLES.history, id);
      assert.deepEqual(
        history.map(({ taskId, outcome }) => [taskId, outcome]),
        Array.from({ length: sent }, (_, index) => [`t-${index + 1}`, 'completed']),
        `history of ${id} after ${sent} tasks`,
      );
      assert.deepEqual(await this.aws.rowsOf(TABLES.rejections, id), [], `rejections of ${id}`);
      const totals = await this.aws.totalsOf(TABLES.stats, id);
      assert.equal(totals['completed'], sent, `totals of ${id}: ${JSON.stringify(totals)}`);
      assert.deepEqual(totals['rewards'], { gold: sent }, `rewards of ${id}`);
    }
  }

  private async sendCommandsOf(player: Player): Promise<void> {
    while (this.running) {
      const number = player.sent + 1;
      const command = taskCommand(player.id, number);
      await this.aws.sendMessage(this.queueUrl, command, player.id);
      if (number % REPEAT_EVERY === 0) {
        await this.aws.sendMessage(this.queueUrl, command, player.id);
      }
      player.sent = number;
      await sleep(PAUSE_MS);
    }
    // The last task is finished by now. This command advances the queue, which records it.
    const grant = { type: 'grantResources', playerId: player.id, resources: { end: 1 } };
    await this.aws.sendMessage(this.queueUrl, grant, player.id);
  }
}

function taskCommand(playerId: string, number: number): object {
  const task = {
    taskId: `t-${number}`,
    kind: 'harvest.wood',
    work: { durationMs: 1 },
    prerequisites: number > 1 ? [`t-${number - 1}`] : [],
    rewards: { gold: 1 },
  };
  return { type: 'enqueueTasks', playerId, commandId: `c-${number}`, tasks: [task] };
}
