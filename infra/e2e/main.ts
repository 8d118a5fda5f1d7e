// The whole system, deployed onto MiniStack as it is deployed onto AWS, and used as its users use it: through queues,
// the event bus, schedules and HTTP. IAM is enforced, everything speaks TLS, Redis is a real one, and so are the
// functions. At the end the books are compared to the last command.
//
// What the emulator cannot show is listed in docs/deploying.md.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FUNCTION_NAMES } from '../lib/settings.ts';
import { METRICS } from '../lib/metrics.ts';
import { Aws, type Row } from './aws.ts';
import { makeCertificates } from './certificates.ts';
import { Cdk, cacheUsers, layOut, PREFIX, STACK, settings, synthesize } from './deploy.ts';
import { until } from './processes.ts';
import { requirements } from './requirements.ts';
import { Issuer, MiniStack, Redis } from './servers.ts';
import { Traffic } from './traffic.ts';

const table = (name: string) => `${PREFIX}${name}`;
const started = Date.now();
/** Keeps what tells why something failed. */
let keepLogs: (directory: string) => Promise<void> = async () => {};

async function step<T>(what: string, take: () => Promise<T>): Promise<T> {
  const from = Date.now();
  try {
    return await take();
  } finally {
    const [at, took] = [from - started, Date.now() - from].map((ms) => (ms / 1000).toFixed(1));
    console.log(`${at?.padStart(6)} s  ${what} (${took} s)`);
  }
}

async function main(directory: string): Promise<void> {
  const found = requirements();
  const certificates = await makeCertificates(found.openssl, directory);
  const ca = readFileSync(certificates.authority);
  const issuer = await Issuer.start(certificates);
  const wanted = settings(issuer.url);

  const code = await step('functions laid out', () => layOut(found, join(directory, 'functions')));
  const first = await step('synthesized', async () => synthesize(join(directory, 'first'), code, wanted));
  const redis = await Redis.start(found.redisServer, directory, certificates, cacheUsers(first));
  const ministack = await step('servers started', () =>
    MiniStack.start(found.python, join(directory, 'ministack'), certificates, redis),
  );
  const cdk = new Cdk(ministack.endpoint, certificates.authority, directory);
  const aws = new Aws(ministack.endpoint, ca);
  keepLogs = async (directory) => {
    writeFileSync(join(directory, 'ministack.log'), ministack.log);
    for (const name of FUNCTION_NAMES) {
      const lines = await aws.logLines(`${PREFIX}${name}`).catch((error: unknown) => [{ error: String(error) }]);
      writeFileSync(join(directory, `${name}.log`), lines.map((line) => JSON.stringify(line)).join('\n'));
    }
  };
  await step('account bootstrapped', () => cdk.bootstrap(first));
  await step('stack deployed', () => cdk.deploy(first));

  const outputs = (await aws.outputs(STACK)) ?? {};
  const out = (name: string): string => outputs[name] ?? assert.fail(`the stack has no output ${name}`);
  const [commands, progress, ticks] = [out('CommandsQueueUrl'), out('ProgressQueueUrl'), out('TicksQueueUrl')];
  const books = { history: table('history'), stats: table('stats'), rejections: table('rejections') };

  const traffic = new Traffic(aws, commands, 8);

  // Nobody will touch this queue again: the schedule has to find it.
  await aws.send(commands, enqueue('sleeper', 'nap', { durationMs: 1500 }, { dreams: 1 }), 'sleeper');
  // Neither this one: what lies in its row is nothing that anybody wrote.
  await aws.put(table('queues'), {
    playerId: { S: 'broken' },
    version: { N: '7' },
    queue: { B: Buffer.from('garbage') },
  });
  await aws.send(commands, enqueue('broken', 't-1', { durationMs: 1 }), 'broken');

  await step('strangers are turned away', async () => {
    const stranger = await aws.stranger();
    await assert.rejects(stranger.send(progress, 'x'), /AccessDenied|not authorized/);
    await assert.rejects(stranger.all(table('queues')), /AccessDenied|not authorized/);
    stranger.close();
  });

  await step('what is malformed lies in the rejections', async () => {
    await aws.send(commands, 'this is no JSON', 'somebody');
    await aws.send(progress, { type: 'reportProgress', playerId: 'bad id', taskId: 't-1', unitsDone: 1 });
    await until('both are in the rejections table', async () => {
      const rejections = await aws.all(books.rejections);
      return rejections.filter(({ playerId }) => String(playerId).startsWith('unknown#')).length === 2;
    });
  });

  await step('work that is reported', async () => {
    await aws.send(commands, enqueue('worker', 'wall', { units: 100 }, { stone: 3 }), 'worker');
    await until('the wall is begun', async () => (await aws.rows(table('queues'), 'worker')).length === 1);
    for (const unitsDone of [10, 30, 20, 60, 99]) {
      await aws.send(progress, { type: 'reportProgress', playerId: 'worker', taskId: 'wall', unitsDone });
    }
    await until('they have been taken', async () => (await aws.depth(progress)) === 0);
    assert.deepEqual(await aws.rows(books.history, 'worker'), [], '99 units are not 100');
    await aws.send(progress, { type: 'reportProgress', playerId: 'worker', taskId: 'wall', unitsDone: 100 });
    await until('the wall is finished', async () => (await aws.rows(books.history, 'worker')).length === 1);
    // It is written last.
    await until('its reward is counted', async () => (await aws.rows(books.stats, 'worker')).length === 1);
    assert.deepEqual((await aws.totals(books.stats, 'worker'))['rewards'], { stone: 3 });
  });

  await step('an event of the bus', async () => {
    await aws.putEvent(out('BusName'), 'TaskQueueCommand', enqueue('listener', 'song', { durationMs: 1 }, { fame: 1 }));
    await aws.putEvent(out('BusName'), 'SomethingElse', enqueue('listener', 'noise', { durationMs: 1 }));
    await until('its player has a queue', async () => (await aws.rows(table('queues'), 'listener')).length === 1);
    await sleep(5);
    await aws.putEvent(out('BusName'), 'TaskQueueCommand', { type: 'resumeQueue', playerId: 'listener' });
    const again = async () => {
      await aws.invoke(`${PREFIX}process-tasks`, { type: 'advanceQueues', playerIds: ['listener'] });
      return (await aws.rows(books.history, 'listener')).length === 1;
    };
    await until('the song is over', again);
  });

  await step('HTTP', () => http(aws, out('ApiUrl'), issuer));

  await step('upkeep of the cache', async () => {
    for (const action of ['upkeep', 'statistics', 'warm', 'clear']) {
      const { failed, answer } = await aws.invoke(`${PREFIX}maintain-cache`, { action });
      assert.equal(failed, false, `${action}: ${JSON.stringify(answer)}`);
    }
    // The last commit of this player finished a task: whoever loads its row writes that down again, or does not get it.
    for (const action of ['warm', 'rebuild']) {
      const { answer } = await aws.invoke(`${PREFIX}maintain-cache`, { action, playerIds: ['worker'] });
      const done = answer[action] as Row | undefined;
      assert.deepEqual([done?.['players'], done?.['failed']], [1, 0], `${action}: ${JSON.stringify(answer)}`);
      assert.equal(writesOf(answer, 'history'), 1, `${action}: ${JSON.stringify(answer)}`);
    }
  });

  await step('Redis is killed and comes back', async () => {
    const before = traffic.sent;
    await redis.kill();
    await sleep(4000);
    assert.ok(traffic.sent > before, 'players go on without Redis');
    await redis.start();
  });

  await step('the stack is updated in place', async () => {
    const name = `${PREFIX}process-tasks`;
    const [before, sent] = [await aws.liveVersion(name), traffic.sent];
    const changed = {
      ...wanted,
      functions: { ...wanted.functions, 'process-tasks': { ...wanted.functions['process-tasks'], memoryMiB: 768 } },
      environment: { MILLRACE_BATCH_CONCURRENCY: '4' },
    };
    await cdk.deploy(synthesize(join(directory, 'second'), code, changed));
    assert.equal(await aws.liveVersion(name), before + 1, 'the alias has moved to a new version');
    assert.ok(traffic.sent > sent, 'players went on meanwhile');
  });

  await step('what keeps failing is set aside, and can be brought back', async () => {
    const deadLetters = out('CommandsDeadLettersUrl');
    await until(
      'the command of the broken queue is a dead letter',
      async () => (await aws.depth(deadLetters)) === 1,
      90_000,
    );
    const [message, ...others] = await aws.take(deadLetters);
    assert.equal(others.length, 0);
    await aws.delete(table('queues'), 'broken');
    await aws.send(commands, message?.Body ?? '', 'broken');
    await until('it is applied', async () => (await aws.rows(table('queues'), 'broken')).length === 1);
  });

  await step('the schedule wakes who sleeps', () =>
    until('the nap is over', async () => (await aws.rows(books.history, 'sleeper')).length === 1, 90_000),
  );

  await step('traffic stops, queues run dry', async () => {
    await traffic.stop();
    const depths = () => Promise.all([commands, progress, ticks].map((queue) => aws.depth(queue)));
    await until('nothing waits', async () => (await depths()).every((depth) => depth === 0));
  });

  await step(
    `the books agree: ${traffic.sent} commands of ${traffic.ids.length} players, nothing lost, nothing twice`,
    async () => {
      await traffic.verify(books);
      assert.deepEqual((await aws.totals(books.stats, 'sleeper'))['rewards'], { dreams: 1 });
      const setAside = ['CommandsDeadLettersUrl', 'ProgressDeadLettersUrl', 'TicksDeadLettersUrl', 'UndeliveredUrl'];
      for (const name of setAside) {
        assert.equal(await aws.depth(out(name)), 0, name);
      }
    },
  );

  await step('logs, cache and rights are as they should be', async () => {
    assert.equal(await redis.ask('ACL LOG'), '*0', 'a function wanted to do what its user of the cache may not');
    assert.ok(Number((await redis.ask('DBSIZE')).slice(1)) > 0, 'copies are in Redis');
    for (const name of FUNCTION_NAMES) {
      const lines = await aws.logLines(`${PREFIX}${name}`);
      const denied = lines.filter((line) => JSON.stringify(line).match(/access_denied|AccessDenied|NOPERM/));
      assert.deepEqual(denied.slice(0, 3), [], `${name} lacks a right`);
    }
    // What metric filters look for is there.
    for (const { field, from } of Object.values(METRICS)) {
      const numbers = await Promise.all(
        from.map(async ({ function: name, message }) => {
          const lines = await aws.logLines(`${PREFIX}${name}`);
          return lines.some((line) => line['message'] === message && typeof line[field] === 'number');
        }),
      );
      assert.ok(numbers.includes(true), `no function logs a line with a number in ${field}`);
    }
    // That the emulator takes its time for once is no fault of a player: it was delivered again, and the books agree.
    const passing = ['store_timed_out', 'store_unavailable', 'deadline'];
    const failed = (await aws.logLines(`${PREFIX}process-tasks`)).filter(
      (line) => line['message'] === 'failed' && !passing.includes(String(line['reason'])),
    );
    assert.deepEqual([...new Set(failed.map((line) => line['player_id']))], ['broken'], 'nobody else failed');
  });

  await step('the stack is destroyed', async () => {
    await cdk.destroy(first);
    assert.equal(await aws.outputs(STACK), undefined);
    assert.deepEqual(await aws.tables(), []);
  });
  aws.close();
  issuer.stop();
  await ministack.stop();
  await redis.kill();
}

/** How many rows of a table an invocation has written, as its report has it. */
function writesOf(answer: Row, table: string): unknown {
  const { report } = answer as { report?: { writes?: { byTable?: Record<string, { items?: number }> } } };
  return report?.writes?.byTable?.[table]?.items;
}

function enqueue(playerId: string, taskId: string, work: object, rewards: object = {}): object {
  return {
    type: 'enqueueTasks',
    playerId,
    commandId: `enqueue-${taskId}`,
    tasks: [{ taskId, kind: 'some.work', work, rewards }],
  };
}

/** What players, game servers and administrators may do over HTTP, and what they may not. */
async function http(aws: Aws, api: string, issuer: Issuer): Promise<void> {
  const player = issuer.token({ sub: 'reader' });
  const server = issuer.token({ sub: 'game-server', scope: 'millrace/commands millrace/admin' });
  const ask = (method: string, path: string, token?: string, body?: object) => aws.http(api, method, path, token, body);
  const status = async (...args: Parameters<typeof ask>) => (await ask(...args)).status;

  assert.equal(await status('GET', '/health'), 200);
  const queue = '/players/reader/queue';
  assert.equal(await status('GET', queue), 401, 'without a token');
  assert.equal(await status('GET', queue, issuer.forged({ sub: 'reader' })), 401, 'with a forged one');
  assert.equal(await status('GET', queue, issuer.token({ sub: 'reader', aud: 'others' })), 401, 'with one for others');
  assert.equal(await status('GET', queue, issuer.token({ sub: 'reader', exp: 1 })), 401, 'with an old one');
  // API Gateway lets the function answer what it has no route for, whoever may ask.
  const nowhere = await ask('GET', '/nowhere', player);
  assert.deepEqual([nowhere.status, nowhere.body['errorType']], [404, 'unknown_route']);
  assert.equal(await status('GET', '/nowhere'), 401);
  const wrong = await ask('DELETE', queue, player);
  assert.deepEqual([wrong.status, wrong.headers['allow']], [405, 'GET, HEAD, OPTIONS']);
  assert.equal(await status('HEAD', '/health'), 200);
  assert.equal(await status('HEAD', queue, player), 404, 'there is no such player yet');
  assert.equal(await status('HEAD', queue), 401);

  const task = enqueue('reader', 'book', { units: 10 });
  const commands = '/players/reader/commands';
  assert.equal(await status('POST', commands, player, task), 403, 'players give themselves nothing');
  const applied = await ask('POST', commands, server, task);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const read = await ask('GET', queue, player);
  assert.equal(read.status, 200, JSON.stringify(read.body));
  const tasks = read.body['tasks'] as { taskId: string; state: string }[];
  assert.deepEqual(
    tasks.map(({ taskId, state }) => [taskId, state]),
    [['book', 'active']],
  );
  assert.equal(await status('GET', '/players/player-0/queue', player), 403, "nobody reads what is another's");
  const cancelled = await ask('POST', commands, player, { type: 'cancelTask', playerId: 'reader', taskId: 'book' });
  assert.equal(cancelled.status, 200, JSON.stringify(cancelled.body));
  const history = await ask('GET', '/players/reader/history', player);
  assert.equal((history.body['items'] as unknown[] | undefined)?.length, 1, JSON.stringify(history.body));
  assert.equal(await status('GET', '/admin/performance', player), 403);
  assert.equal(await status('GET', '/admin/performance', server), 200);

  const upkeep = (action: string, body: object) => ask('POST', `/admin/cache/${action}`, server, body);
  assert.equal(await status('POST', '/admin/cache/clear', player, {}), 403);
  for (const [action, body] of [
    ['warm', { playerIds: ['reader'] }],
    ['clear', { playerIds: ['reader'] }],
    ['rebuild', { playerIds: ['reader'] }],
    ['emergency-mode', { enabled: true, durationSeconds: 60 }],
    ['emergency-mode', { enabled: false }],
  ] as const) {
    const answer = await upkeep(action, body);
    assert.equal(answer.status, 200, `${action}: ${JSON.stringify(answer.body)}`);
  }
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-e2e-'));
try {
  await main(directory);
  console.log('everything is as it should be');
  rmSync(directory, { recursive: true, force: true });
  process.exit(0);
} catch (error) {
  console.error(error);
  await keepLogs(directory);
  console.error(`What was made is in ${directory}, with the logs of MiniStack and of each function`);
  process.exit(1);
}
