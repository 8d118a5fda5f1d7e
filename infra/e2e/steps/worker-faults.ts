// What can go wrong with workers: they die or stall in the middle of a task, and they are invoked
// twice.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PublishedEvent } from '../events/event.ts';
import type { Listener } from '../events/listener.ts';
import type { MiniStack } from '../ministack.ts';
import { waitUntil } from '../processes.ts';
import { HEARTBEAT_MS, WORK_PLAYERS } from './worker-tasks.ts';

/** Longer than an attempt may last without a report. */
const STALL_MS = HEARTBEAT_MS + 2_000;
const MAX_TRIES = 5;
const WAIT_MS = 120_000;
const ENDS = ['taskRetried', 'taskCompleted', 'taskFailed', 'taskCancelled'];

/** A function that does the tasks of a kind. */
export interface Worker {
  functionName: string;
  kind: string;
}

export class WorkerFaults {
  constructor(
    private readonly miniStack: MiniStack,
    private readonly listener: Listener,
  ) {}

  /** Kills the processes of a worker in the middle of a task. The task is retried. */
  async kill(worker: Worker): Promise<void> {
    await this.disturb(worker, async (pids) => signal(pids, 'SIGKILL'));
  }

  /** Stops the processes of a worker for longer than the heartbeat. The task is retried. */
  async stall(worker: Worker): Promise<void> {
    await this.disturb(worker, async (pids) => {
      const resume = () => signal(pids, 'SIGCONT');
      // A stopped process would outlive the test.
      process.once('exit', resume);
      signal(pids, 'SIGSTOP');
      await sleep(STALL_MS);
      resume();
      process.removeListener('exit', resume);
    });
  }

  /** Repeats a fault until it has hit a task that did not end by itself at that very moment. */
  private async disturb({ functionName, kind }: Worker, fault: (pids: number[]) => Promise<void>): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      let progress: PublishedEvent | undefined;
      const findTask = async () => (progress = this.findProgress(kind)) !== undefined;
      await waitUntil(`a task of ${kind} has reached a milestone`, findTask, WAIT_MS);
      const pids = this.miniStack.processesOf(functionName);
      assert.ok(pids.length > 0, `${functionName} has processes`);
      await fault(pids);
      let end: PublishedEvent | undefined;
      const attempt = progress as PublishedEvent;
      await waitUntil('the attempt has ended', async () => (end = this.findEnd(attempt)) !== undefined, WAIT_MS);
      if (end?.type === 'taskRetried') {
        assert.equal(end.reason, 'heartbeat_lost', JSON.stringify(end));
        return;
      }
    }
    assert.fail(`no task of ${kind} was disturbed`);
  }

  /** The last milestone of an attempt that has not ended. */
  private findProgress(kind: string): PublishedEvent | undefined {
    return WORK_PLAYERS.flatMap((player) => this.listener.eventsOf(player)).findLast(
      (event) => event.type === 'taskProgressed' && event.task?.kind === kind && this.findEnd(event) === undefined,
    );
  }

  private findEnd({ playerId, sequence, task }: PublishedEvent): PublishedEvent | undefined {
    const events = this.listener.eventsOf(playerId);
    return events.find(
      (event) => event.sequence > sequence && event.task?.taskId === task?.taskId && ENDS.includes(event.type),
    );
  }
}

function signal(pids: number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      // The process has ended since.
      assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH', String(error));
    }
  }
}
