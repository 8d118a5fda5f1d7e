// What came of the tasks of the workers, and whether the events tell it.

import assert from 'node:assert/strict';
import type { Row } from '../aws.ts';
import type { PublishedEvent } from '../events/event.ts';
import type { Listener } from '../events/listener.ts';
import { QueueCopy } from '../events/queue-copy.ts';
import type { HttpApi } from '../http-api.ts';
import type { Deployed } from './deployment.ts';
import type { Listeners } from './listeners.ts';
import { expectedBalances, TASKS_OF_A_PLAYER, WORK_PLAYERS, WORK_TASKS } from './worker-tasks.ts';

/** Reads queues as a server of the game. */
class Reader {
  constructor(
    private readonly http: HttpApi,
    private readonly token: string,
  ) {}

  async get(path: string): Promise<Row> {
    const { status, body } = await this.http.send('GET', path, { token: this.token });
    assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
    return body;
  }

  /** All finished tasks of a player, in small pages. */
  async history(player: string): Promise<Row[]> {
    const rows: Row[] = [];
    let cursor = '';
    do {
      const { items, nextCursor = '' } = await this.get(`/players/${player}/history?limit=10${cursor}`);
      rows.push(...(items as Row[]));
      cursor = nextCursor === '' ? '' : `&cursor=${String(nextCursor)}`;
    } while (cursor !== '');
    return rows;
  }

  /** All events of a player, in pages. */
  async events(player: string): Promise<PublishedEvent[]> {
    const events: PublishedEvent[] = [];
    for (;;) {
      const after = events.at(-1)?.sequence ?? 0;
      const { items } = await this.get(`/players/${player}/events?after=${after}&limit=200`);
      if ((items as PublishedEvent[]).length === 0) {
        return events;
      }
      events.push(...(items as PublishedEvent[]));
    }
  }
}

async function readerOf({ http, issuer }: Deployed): Promise<Reader> {
  return new Reader(http, await issuer.token({ sub: 'game-server', scope: 'millrace/admin' }));
}

/** Every task is completed once with its result, although attempts failed and reports were late. */
export async function checkResults(deployed: Deployed, { bus, repeater }: Listeners): Promise<void> {
  const reader = await readerOf(deployed);
  for (const player of WORK_PLAYERS) {
    const history = await reader.history(player);
    const completed = history.filter(
      ({ outcome, taskId }) => outcome === 'completed' && /^t-\d+$/.test(String(taskId)),
    );
    const results = WORK_TASKS.map(({ taskId, kind, result }) => ({ taskId, kind, result }));
    assert.deepEqual(
      completed.map(({ taskId, kind, result }) => ({ taskId, kind, result })).toSorted(byTaskId),
      results.toSorted(byTaskId),
      `results of ${player}`,
    );
    const { balances, totals } = await reader.get(`/players/${player}/queue`);
    const { gold, gems, ...rewards } = expectedBalances();
    assert.deepEqual(balances, { gold, gems, ...rewards }, `balances of ${player}`);
    const { completed: completions, failed, cancelled, rewards: credited } = totals as Row;
    assert.deepEqual([completions, failed, cancelled], [TASKS_OF_A_PLAYER + 2, 1, 4], `totals of ${player}`);
    assert.deepEqual(credited, rewards, `rewards of ${player}`);
  }
  const events = WORK_PLAYERS.flatMap((player) => bus.eventsOf(player));
  const rejections = events.filter(({ type, reason }) => type === 'commandRejected' && reason === 'stale_report');
  assert.ok(rejections.length > 0, 'a worker that was stopped reported an attempt that was over');
  assert.ok(repeater.repeated.size > WORK_PLAYERS.length, 'workers were invoked twice');
}

/** Every consumer gets every event, and rebuilds every queue from them. */
export async function checkEvents(deployed: Deployed, { bus, queue, repeater }: Listeners): Promise<void> {
  const reader = await readerOf(deployed);
  assert.deepEqual([...bus.byPlayer.keys()].toSorted(), [...queue.byPlayer.keys()].toSorted());
  for (const [player, events] of queue.byPlayer) {
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, index) => index + 1),
      `the queue has the events of ${player} in order`,
    );
    checkCopies(player, events, bus);
    assert.deepEqual(await reader.events(player), events, `events of ${player} over HTTP`);
    const repeated = bus.eventsOf(player).filter(({ eventId }) => repeater.repeated.has(eventId));
    await checkRebuiltQueue(reader, player, shuffled([...bus.eventsOf(player), ...repeated]));
  }
}

/** The bus delivers each event at least once, always with the same content. */
function checkCopies(player: string, events: PublishedEvent[], bus: Listener): void {
  const copies = bus.eventsOf(player);
  assert.deepEqual(new Set(copies.map(({ sequence }) => sequence)).size, events.length, `the bus has all of ${player}`);
  for (const copy of copies) {
    assert.equal(copy.eventId, `${player}/${copy.sequence}`);
    assert.deepEqual(copy, events[copy.sequence - 1]);
  }
}

async function checkRebuiltQueue(reader: Reader, player: string, events: PublishedEvent[]): Promise<void> {
  const { version, asOf, tasks, ...rest } = await reader.get(`/players/${player}/queue`);
  const copy = new QueueCopy();
  for (const event of events) {
    copy.add(event);
  }
  assert.equal(copy.hasGap, false, `events of ${player}`);
  assert.ok(events.every((event) => event.version <= Number(version)));
  for (const task of tasks as Row[]) {
    delete task['estimatedFinishAt'];
  }
  assert.deepEqual(copy.view(player, String(asOf)), { ...rest, tasks }, `the queue of ${player}`);
}

/** In an order that is the same in each run. */
function shuffled<T>(items: T[]): T[] {
  let state = 1;
  const keyed = items.map((item) => {
    state = (state * 48_271) % 2_147_483_647;
    return { key: state, item };
  });
  return keyed.toSorted((left, right) => left.key - right.key).map(({ item }) => item);
}

function byTaskId(left: { taskId: unknown }, right: { taskId: unknown }): number {
  return String(left.taskId).localeCompare(String(right.taskId));
}
