// An event of a queue, as every destination gets it (docs/workers.md).

import type { EventType } from '../../lib/settings.ts';

export type Resources = Record<string, number>;

export interface PublishedEvent {
  eventId: string;
  playerId: string;
  sequence: number;
  version: number;
  at: string;
  type: EventType;
  task?: EventTask;
  costs?: Resources;
  rewards?: Resources;
  refunds?: Resources;
  resources?: Resources;
  result?: unknown;
  timeSpentMs?: number;
  percent?: number;
  reason?: string;
  notBefore?: string;
  priority?: string;
  movedToFront?: boolean;
  slots?: number;
  maxTasks?: number;
  commandId?: string;
}

export interface EventTask {
  taskId: string;
  kind?: string;
  attempt?: number;
  priority?: string;
  work?: { durationMs?: number; units?: number };
  payload?: unknown;
  units?: number;
  notBefore?: string;
  prerequisites?: string[];
  costs?: Resources;
}
