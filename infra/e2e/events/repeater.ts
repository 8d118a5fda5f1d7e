// Delivers events again, as EventBridge may do at any time.

import { setTimeout as sleep } from 'node:timers/promises';
import type { PublishedEvent } from './event.ts';

/** Of so many started tasks of workers, the event of one is repeated. */
const REPEAT_EVERY = 4;
/** After this time, the worker of a short task has completed it. */
const LATE_MS = 1_500;

export class Repeater {
  /** The ids of the events that were repeated. */
  readonly repeated = new Set<string>();
  private readonly sendings: Promise<unknown>[] = [];

  constructor(private readonly send: (event: PublishedEvent) => Promise<unknown>) {}

  /** Repeats one of several events that start workers: at once or, as often, later. */
  observe(event: PublishedEvent): void {
    const { eventId, sequence, type, task } = event;
    const startsWorker = type === 'taskStarted' && task?.units !== undefined;
    if (!startsWorker || sequence % REPEAT_EVERY !== 0 || this.repeated.has(eventId)) {
      return;
    }
    this.repeated.add(eventId);
    const delayMs = sequence % (2 * REPEAT_EVERY) === 0 ? LATE_MS : 0;
    const sending = sleep(delayMs).then(() => this.send(event));
    // `end` reports the failure. Without a handler, Node would end the process before.
    sending.catch(() => {});
    this.sendings.push(sending);
  }

  /** Waits until everything is sent. */
  async end(): Promise<void> {
    await Promise.all(this.sendings);
  }
}
