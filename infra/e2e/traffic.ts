// Players who play while everything else happens, and what must have come of it at the end.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Aws } from './aws.ts';

/** Between two commands of a player: every task is over before the next command is sent. */
const PAUSE_MS = 500;
/** Each so many commands, one is sent twice. */
const REPEAT_EVERY = 5;

/** One player: each task waits for the one before it, so that a command out of order is a command refused. */
interface Player {
  id: string;
  sent: number;
}

export class Traffic {
  private readonly players: Player[];
  private going = true;
  private readonly done: Promise<unknown>;

  constructor(
    private readonly aws: Aws,
    private readonly queueUrl: string,
    players: number,
  ) {
    this.players = Array.from({ length: players }, (_, index) => ({ id: `player-${index}`, sent: 0 }));
    this.done = Promise.all(this.players.map((player) => this.play(player)));
    // Who waits for it hears of a failure; nobody else must.
    this.done.catch(() => {});
  }

  get sent(): number {
    return this.players.reduce((sum, { sent }) => sum + sent, 0);
  }

  get ids(): string[] {
    return this.players.map(({ id }) => id);
  }

  private async play(player: Player): Promise<void> {
    while (this.going) {
      const number = player.sent + 1;
      const command = {
        type: 'enqueueTasks',
        playerId: player.id,
        commandId: `c-${number}`,
        tasks: [
          {
            taskId: `t-${number}`,
            kind: 'harvest.wood',
            work: { durationMs: 1 },
            prerequisites: number > 1 ? [`t-${number - 1}`] : [],
            rewards: { gold: 1 },
          },
        ],
      };
      await this.aws.send(this.queueUrl, command, player.id);
      if (number % REPEAT_EVERY === 0) {
        await this.aws.send(this.queueUrl, command, player.id);
      }
      player.sent = number;
      await sleep(PAUSE_MS);
    }
    // The last task is over by now; somebody has to look.
    await this.aws.send(
      this.queueUrl,
      { type: 'grantResources', playerId: player.id, resources: { end: 1 } },
      player.id,
    );
  }

  /** No more commands; all that were sent are in the queue. */
  async stop(): Promise<void> {
    this.going = false;
    await this.done;
  }

  /** Every task of every player is finished once, in order, and paid once. */
  async verify(tables: { history: string; stats: string; rejections: string }): Promise<void> {
    for (const { id, sent } of this.players) {
      const history = await this.aws.rows(tables.history, id);
      assert.deepEqual(
        history.map(({ taskId, outcome }) => [taskId, outcome]),
        Array.from({ length: sent }, (_, index) => [`t-${index + 1}`, 'completed']),
        `the history of ${id}, of ${sent} tasks`,
      );
      assert.deepEqual(await this.aws.rows(tables.rejections, id), [], `rejections of ${id}`);
      const totals = await this.aws.totals(tables.stats, id);
      assert.equal(totals['completed'], sent, `totals of ${id}: ${JSON.stringify(totals)}`);
      assert.deepEqual(totals['rewards'], { gold: sent }, `rewards of ${id}`);
    }
  }
}
