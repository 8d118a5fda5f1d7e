// A consumer of events: receives them from an SQS queue in the background, and keeps them all.

import type { Aws, Message } from '../aws.ts';
import type { PublishedEvent } from './event.ts';

export class Listener {
  /** The events of each player in the order of their arrival, with repetitions. */
  readonly byPlayer = new Map<string, PublishedEvent[]>();
  private isRunning = true;
  private readonly ended: Promise<void>;

  constructor(
    private readonly aws: Aws,
    private readonly queueUrl: string,
    private readonly parse: (message: Message) => PublishedEvent,
    private readonly onEvent: (event: PublishedEvent) => void = () => {},
  ) {
    this.ended = this.receive();
    // `stop` reports the failure. Without a handler, Node would end the process before.
    this.ended.catch(() => {});
  }

  /** The number of events, with repetitions. */
  get count(): number {
    return [...this.byPlayer.values()].reduce((sum, events) => sum + events.length, 0);
  }

  eventsOf(player: string): PublishedEvent[] {
    return this.byPlayer.get(player) ?? [];
  }

  /** Stops when the queue is empty. */
  async stop(): Promise<void> {
    this.isRunning = false;
    await this.ended;
  }

  private async receive(): Promise<void> {
    for (;;) {
      const messages = await this.aws.takeMessages(this.queueUrl);
      for (const message of messages) {
        const event = this.parse(message);
        const events = this.eventsOf(event.playerId);
        events.push(event);
        this.byPlayer.set(event.playerId, events);
        this.onEvent(event);
      }
      if (messages.length === 0 && !this.isRunning) {
        return;
      }
    }
  }
}
