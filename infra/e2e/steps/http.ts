// The HTTP API: authentication, authorization and the actions of players, game servers and
// administrators.

import assert from 'node:assert/strict';
import type { HttpApi } from '../http-api.ts';
import type { Issuer } from '../issuer.ts';
import { enqueueTask } from './commands.ts';
import type { Deployed } from './deployment.ts';

const PLAYER = 'http-player';
const QUEUE = `/players/${PLAYER}/queue`;
const COMMANDS = `/players/${PLAYER}/commands`;

interface Tokens {
  player: string;
  /** Has the scopes for commands and administration. */
  server: string;
}

export async function useHttpApi({ http, issuer }: Deployed): Promise<void> {
  const tokens = {
    player: await issuer.token({ sub: PLAYER }),
    server: await issuer.token({ sub: 'game-server', scope: 'millrace/commands millrace/admin' }),
  };
  await checkAuthentication(http, issuer);
  await checkUnknownRoutes(http, tokens);
  await sendCommands(http, tokens);
  await administrateCache(http, tokens);
}

async function checkAuthentication(http: HttpApi, issuer: Issuer): Promise<void> {
  const statusWith = (token?: string) => http.statusOf('GET', QUEUE, token === undefined ? {} : { token });
  assert.equal(await http.statusOf('GET', '/health'), 200);
  assert.equal(await http.statusOf('HEAD', '/health'), 200);
  assert.equal(await statusWith(), 401, 'no token');
  assert.equal(await statusWith(await issuer.forgedToken({ sub: PLAYER })), 401, 'forged token');
  assert.equal(await statusWith(await issuer.token({ sub: PLAYER, aud: 'others' })), 401, 'other audience');
  assert.equal(await statusWith(await issuer.token({ sub: PLAYER, exp: 1 })), 401, 'expired token');
  assert.equal(await http.statusOf('HEAD', QUEUE), 401, 'no token');
}

/** The function answers requests without a route of API Gateway, which still require a token. */
async function checkUnknownRoutes(http: HttpApi, { player }: Tokens): Promise<void> {
  const unknown = await http.send('GET', '/nowhere', { token: player });
  assert.deepEqual([unknown.status, unknown.body['errorType']], [404, 'unknown_route']);
  assert.equal(await http.statusOf('GET', '/nowhere'), 401);
  const wrongMethod = await http.send('DELETE', QUEUE, { token: player });
  assert.deepEqual([wrongMethod.status, wrongMethod.headers['allow']], [405, 'GET, HEAD, OPTIONS']);
  assert.equal(await http.statusOf('HEAD', QUEUE, { token: player }), 404, 'the player does not exist yet');
}

async function sendCommands(http: HttpApi, { player, server }: Tokens): Promise<void> {
  const command = enqueueTask(PLAYER, 't-1', { units: 10 });
  assert.equal(
    await http.statusOf('POST', COMMANDS, { token: player, body: command }),
    403,
    'a player cannot queue its own tasks',
  );
  const applied = await http.send('POST', COMMANDS, { token: server, body: command });
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const queue = await http.send('GET', QUEUE, { token: player });
  assert.equal(queue.status, 200, JSON.stringify(queue.body));
  const tasks = queue.body['tasks'] as { taskId: string; state: string }[];
  assert.deepEqual(
    tasks.map(({ taskId, state }) => [taskId, state]),
    [['t-1', 'active']],
  );
  assert.equal(
    await http.statusOf('GET', '/players/player-0/queue', { token: player }),
    403,
    'a player cannot read the queue of another player',
  );
  const cancel = { type: 'cancelTask', playerId: PLAYER, taskId: 't-1' };
  const cancelled = await http.send('POST', COMMANDS, { token: player, body: cancel });
  assert.equal(cancelled.status, 200, JSON.stringify(cancelled.body));
  const history = await http.send('GET', `/players/${PLAYER}/history`, { token: player });
  assert.equal((history.body['items'] as unknown[] | undefined)?.length, 1, JSON.stringify(history.body));
}

async function administrateCache(http: HttpApi, { player, server }: Tokens): Promise<void> {
  assert.equal(await http.statusOf('GET', '/admin/performance', { token: player }), 403);
  assert.equal(await http.statusOf('GET', '/admin/performance', { token: server }), 200);
  assert.equal(await http.statusOf('POST', '/admin/cache/clear', { token: player, body: {} }), 403);
  const players = { playerIds: [PLAYER] };
  for (const [action, body] of [
    ['warm', players],
    ['clear', players],
    ['rebuild', players],
    ['emergency-mode', { enabled: true, durationSeconds: 60 }],
    ['emergency-mode', { enabled: false }],
  ] as const) {
    const response = await http.send('POST', `/admin/cache/${action}`, { token: server, body });
    assert.equal(response.status, 200, `${action}: ${JSON.stringify(response.body)}`);
  }
}
