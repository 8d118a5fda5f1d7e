// The loop of a worker: the event that a task has started, the work, heartbeats, and the end of the
// task. It is right when it is invoked twice for the same event. handler.ts connects it to SQS.

export interface Task {
  taskId: string;
  kind: string;
  attempt: number;
  payload?: unknown;
  units: number;
  /** When the attempt fails unless something is reported before. */
  deadline?: string;
}

/** Every copy of an event has the same `sequence`. No other event of the player has it. */
interface TaskStarted {
  playerId: string;
  sequence: number;
  at: string;
  task: Task;
}

export type Command = { type: string; playerId: string; taskId: string; attempt: number } & Record<string, unknown>;

export interface MillraceQueues {
  /** Sends to the progress queue. A report that is lost does no harm: the next one says more. */
  report(command: Command): Promise<unknown>;
  /** Sends to the FIFO queue for commands. */
  finish(command: Command & { commandId: string }): Promise<unknown>;
}

export interface WorkContext {
  /** `share` is 0 to 1. The next heartbeat reports it. */
  reportDone(share: number): void;
  /** Aborted shortly before the time-out of the invocation. */
  signal: AbortSignal;
}

/** Does the work and returns the result of the task. It may run twice for one attempt. */
export type Work = (task: Task, context: WorkContext) => Promise<unknown>;

/** A repetition of the work would fail too. */
export class PermanentError extends Error {}

/** The command that ends the attempt. `name` becomes part of its id. */
type End = { name: 'complete' | 'fail'; fields: { type: string; [field: string]: unknown } };

const HEARTBEATS_BEFORE_DEADLINE = 3;
const MAX_RESULT_BYTES = 4096;
const MAX_REASON_LENGTH = 1024;

export interface SqsEvent {
  Records: { messageId: string; body: string }[];
}

/** Handles all messages of a batch. Those in the answer are delivered again. */
export async function handleBatch({ Records }: SqsEvent, queues: MillraceQueues, work: Work, timeLeftMs: number) {
  const signal = AbortSignal.timeout(timeLeftMs);
  const handle = async ({ messageId, body }: SqsEvent['Records'][number]) => {
    try {
      await handleEvent(parseEvent(body), queues, work, signal);
      return [];
    } catch (error) {
      log('handed back', { messageId, error: String(error) });
      return [{ itemIdentifier: messageId }];
    }
  };
  return { batchItemFailures: (await Promise.all(Records.map(handle))).flat() };
}

/** What is no event fails at each delivery, until SQS moves it to the dead-letter queue. */
function parseEvent(body: string): TaskStarted {
  const event = JSON.parse(body) as { 'detail-type'?: string; 'detail'?: TaskStarted };
  const { detail } = event;
  if (event['detail-type'] !== 'taskStarted' || !Number.isInteger(detail?.sequence) || !detail?.task?.units) {
    throw new Error('this is no taskStarted event of a reported task');
  }
  return detail;
}

async function handleEvent(event: TaskStarted, queues: MillraceQueues, work: Work, signal: AbortSignal) {
  const { playerId, sequence, task } = event;
  const { taskId, attempt } = task;
  // Either another invocation keeps the attempt alive, or the task was retried with a new event.
  if (task.deadline !== undefined && Date.parse(task.deadline) <= Date.now()) {
    log('the attempt is over', { playerId, taskId, attempt });
    return;
  }
  const { name, fields } = await workWithHeartbeats(event, queues, work, signal);
  // Named after the event: a second invocation sends the same id, and the next attempt another one.
  // An id of the task could be longer than the 128 characters that are allowed here.
  const commandId = `worker:${sequence}:${name}`;
  await queues.finish({ playerId, taskId, attempt, commandId, ...fields });
}

async function workWithHeartbeats(
  { playerId, at, task }: TaskStarted,
  queues: MillraceQueues,
  work: Work,
  signal: AbortSignal,
): Promise<End> {
  const { taskId, attempt, units, deadline } = task;
  let unitsDone = 0;
  const sendHeartbeat = () =>
    queues
      .report({ type: 'reportProgress', playerId, taskId, attempt, unitsDone })
      .catch((error: unknown) => log('no heartbeat', { playerId, taskId, error: String(error) }));
  let timer: NodeJS.Timeout | undefined;
  if (deadline !== undefined) {
    // The event may have waited for long, so the first heartbeat is sent at once.
    void sendHeartbeat();
    timer = setInterval(sendHeartbeat, (Date.parse(deadline) - Date.parse(at)) / HEARTBEATS_BEFORE_DEADLINE);
  }
  // All units would complete the task without a result.
  const reportDone = (share: number) => (unitsDone = Math.min(Math.floor(share * units), units - 1));
  const outOfTime = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('the invocation ran out of time'))),
  );
  try {
    const result = (await Promise.race([work(task, { reportDone, signal }), outOfTime])) ?? null;
    if (Buffer.byteLength(JSON.stringify(result)) > MAX_RESULT_BYTES) {
      throw new PermanentError('the result is too large');
    }
    return { name: 'complete', fields: { type: 'completeTask', result } };
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON_LENGTH);
    return { name: 'fail', fields: { type: 'failTask', reason, retry: !(error instanceof PermanentError) } };
  } finally {
    clearInterval(timer);
  }
}

function log(message: string, fields: object): void {
  console.log(JSON.stringify({ message, ...fields }));
}
