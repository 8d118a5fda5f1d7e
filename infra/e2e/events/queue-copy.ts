// A copy of a queue that is rebuilt from its events, as a consumer of the event bus can do it.

import assert from 'node:assert/strict';
import type { EventTask, PublishedEvent, Resources } from './event.ts';

/** A queue remembers so many finished tasks. */
const REMEMBERED_TASKS = 64;
const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;
/** From the first task to start to the last one. */
const PRIORITIES = ['critical', 'high', 'normal', 'low'];

interface Task {
  taskId: string;
  kind: string;
  priority: string;
  /** Undefined for timed work. */
  units: number | undefined;
  unitsDone: number;
  /** The number of failed attempts. */
  attempts: number;
  notBefore: string;
  openPrerequisites: string[];
  costs: Resources;
  /** The costs are paid at the first start only. */
  isPaid: boolean;
  /** Undefined for a pending task. */
  startedAt: string | undefined;
}

export class QueueCopy {
  /** The last event that was applied. */
  sequence = 0;
  /** Events that arrived before an event that precedes them. */
  private readonly early = new Map<number, PublishedEvent>();
  private isPaused = false;
  private slots = 1;
  private maxTasks = 50;
  private readonly balances: Resources = {};
  private readonly totals = { completed: 0, failed: 0, cancelled: 0, timeSpentMs: 0, rewards: {} as Resources };
  /** In queue order. */
  private readonly tasks: Task[] = [];
  /** The newest is the first. */
  private readonly recent: { taskId: string; outcome: string; finishedAt: string }[] = [];

  /** Accepts events in any order, and more than once. */
  add(event: PublishedEvent): void {
    if (event.sequence > this.sequence) {
      this.early.set(event.sequence, event);
    }
    for (let next = this.takeNext(); next !== undefined; next = this.takeNext()) {
      this.apply(next);
      this.sequence = next.sequence;
    }
  }

  /** Whether an event is missing. */
  get hasGap(): boolean {
    return this.early.size > 0;
  }

  /**
   * The answer of `GET /players/{playerId}/queue`, without what events do not tell: the version,
   * deadlines, which heartbeats move, and forecasts.
   */
  view(playerId: string, asOf: string): object {
    const active = this.tasks.filter(({ startedAt }) => startedAt !== undefined);
    // The sort is stable: tasks of one priority stay in queue order.
    const pending = this.tasks
      .filter(({ startedAt }) => startedAt === undefined)
      .toSorted((left, right) => PRIORITIES.indexOf(left.priority) - PRIORITIES.indexOf(right.priority));
    return {
      playerId,
      status: this.isPaused ? 'paused' : 'running',
      slots: this.slots,
      maxTasks: this.maxTasks,
      balances: this.balances,
      totals: this.totals,
      tasks: [...active.map(viewOfActive), ...pending.map((task) => this.viewOfPending(task, active.length, asOf))],
      recent: this.recent,
    };
  }

  private takeNext(): PublishedEvent | undefined {
    const next = this.early.get(this.sequence + 1);
    this.early.delete(this.sequence + 1);
    return next;
  }

  private apply(event: PublishedEvent): void {
    switch (event.type) {
      case 'taskQueued':
        this.queueTask(event.task ?? assert.fail('a queued task'));
        break;
      case 'taskStarted':
        this.startTask(this.taskOf(event), event);
        break;
      case 'taskProgressed': {
        const task = this.taskOf(event);
        task.unitsDone = Math.ceil(((task.units ?? 0) * (event.percent ?? 0)) / 100);
        break;
      }
      case 'taskRetried':
        this.retryTask(this.taskOf(event), event);
        break;
      case 'taskCompleted':
        this.totals.timeSpentMs += event.timeSpentMs ?? 0;
        credit(this.totals.rewards, event.rewards);
        this.endTask(event, 'completed');
        break;
      case 'taskFailed':
        this.endTask(event, 'failed');
        break;
      case 'taskCancelled':
        this.endTask(event, 'cancelled');
        break;
      case 'taskChanged':
        this.changeTask(this.taskOf(event), event);
        break;
      case 'queuePaused':
        this.isPaused = true;
        break;
      case 'queueResumed':
        this.isPaused = false;
        break;
      case 'queueConfigured':
        this.slots = event.slots ?? assert.fail('slots');
        this.maxTasks = event.maxTasks ?? assert.fail('maxTasks');
        break;
      case 'resourcesGranted':
        credit(this.balances, event.resources);
        break;
      case 'queueEmptied':
      case 'commandRejected':
        break;
    }
  }

  private queueTask(task: EventTask): void {
    const isUnfinished = (id: string) => this.tasks.some(({ taskId }) => taskId === id);
    this.tasks.push({
      taskId: task.taskId,
      kind: task.kind ?? '',
      priority: task.priority ?? '',
      units: task.work?.units,
      unitsDone: 0,
      attempts: 0,
      notBefore: task.notBefore ?? '',
      openPrerequisites: (task.prerequisites ?? []).filter(isUnfinished),
      costs: task.costs ?? {},
      isPaid: false,
      startedAt: undefined,
    });
  }

  private startTask(task: Task, { at, costs = {} }: PublishedEvent): void {
    task.startedAt = at;
    task.isPaid = true;
    for (const [name, amount] of Object.entries(costs)) {
      const left = (this.balances[name] ?? 0) - amount;
      assert.ok(left >= 0, `the player has ${amount} ${name}`);
      this.balances[name] = left;
      if (left === 0) {
        delete this.balances[name];
      }
    }
  }

  private retryTask(task: Task, { notBefore }: PublishedEvent): void {
    task.attempts += 1;
    task.startedAt = undefined;
    task.unitsDone = 0;
    task.notBefore = notBefore ?? '';
  }

  private endTask(event: PublishedEvent, outcome: 'completed' | 'failed' | 'cancelled'): void {
    const { taskId } = this.taskOf(event);
    this.tasks.splice(this.positionOf(taskId), 1);
    this.totals[outcome] += 1;
    credit(this.balances, event.rewards);
    credit(this.balances, event.refunds);
    if (outcome === 'completed') {
      for (const other of this.tasks) {
        other.openPrerequisites = other.openPrerequisites.filter((id) => id !== taskId);
      }
    }
    this.recent.unshift({ taskId, outcome, finishedAt: event.at });
    this.recent.splice(REMEMBERED_TASKS);
  }

  private changeTask(task: Task, { priority, movedToFront }: PublishedEvent): void {
    task.priority = priority ?? task.priority;
    if (movedToFront) {
      this.tasks.splice(this.positionOf(task.taskId), 1);
      const first = this.tasks.findIndex((other) => other.priority === task.priority);
      this.tasks.splice(first === -1 ? this.tasks.length : first, 0, task);
    }
  }

  private viewOfPending(task: Task, activeTasks: number, asOf: string): object {
    const { taskId, kind, priority, attempts, notBefore, openPrerequisites, costs, isPaid } = task;
    const isAffordable = Object.entries(costs).every(([name, amount]) => (this.balances[name] ?? 0) >= amount);
    const blockedBy = Object.entries({
      paused: this.isPaused,
      notBefore: notBefore > asOf,
      prerequisites: openPrerequisites.length > 0,
      costs: !isPaid && !isAffordable,
      slot: activeTasks >= this.slots,
    }).flatMap(([reason, isBlocking]) => (isBlocking ? [reason] : []));
    return { taskId, kind, priority, state: 'pending', attempts, blockedBy };
  }

  private positionOf(id: string | undefined): number {
    const position = this.tasks.findIndex(({ taskId }) => taskId === id);
    return position === -1 ? assert.fail(`the queue has no task ${id}`) : position;
  }

  private taskOf({ task }: PublishedEvent): Task {
    return this.tasks[this.positionOf(task?.taskId)] as Task;
  }
}

function credit(resources: Resources, credited: Resources = {}): void {
  for (const [name, amount] of Object.entries(credited)) {
    if (amount > 0) {
      resources[name] = Math.min((resources[name] ?? 0) + amount, MAX_AMOUNT);
    }
  }
}

function viewOfActive({ taskId, kind, priority, attempts, units, unitsDone, startedAt }: Task): object {
  const reported = units !== undefined && { progress: Math.floor((1000 * unitsDone) / units) / 1000, unitsDone };
  return { taskId, kind, priority, state: 'active', attempts, ...reported, startedAt };
}
