// What an operator does with messages that were set aside.

import assert from 'node:assert/strict';
import { waitUntil } from '../processes.ts';
import { TABLES } from '../stack.ts';
import { BROKEN_PLAYER } from './commands.ts';
import type { Deployed } from './deployment.ts';

const BUS_PLAYER = 'generous-player';

/** A command that keeps failing becomes a dead letter. It is applied after the cause is removed. */
export async function bringBackDeadLetter({ aws, outputs, runbook }: Deployed): Promise<void> {
  const { CommandsDeadLettersUrl } = outputs;
  const isDeadLetter = async () => (await aws.queueDepth(CommandsDeadLettersUrl)) === 1;
  await waitUntil('the command of the broken player is a dead letter', isDeadLetter, 150_000);
  await aws.deleteRow(TABLES.queues, BROKEN_PLAYER);
  await runbook.run('Dead letters', 'send-message');
  await waitUntil('it is applied', async () => (await aws.rowsOf(TABLES.queues, BROKEN_PLAYER)).length === 1);
  assert.equal(await aws.queueDepth(CommandsDeadLettersUrl), 0);
}

/**
 * An event that was applied before its invocation failed is sent again. Its command has no
 * commandId and is not applied twice.
 */
export async function sendUndeliveredEventAgain({ aws, outputs, runbook }: Deployed): Promise<void> {
  const command = { type: 'grantResources', playerId: BUS_PLAYER, resources: { gold: 1 } };
  const id = await aws.putEvent(outputs.BusName, 'TaskQueueCommand', command);
  await waitUntil('it is applied', async () => (await aws.rowsOf(TABLES.queues, BUS_PLAYER)).length === 1);
  // As Lambda writes it for a function that fails three times.
  const event = { 'version': '0', id, 'detail-type': 'TaskQueueCommand', 'source': 'game.server', 'detail': command };
  const record = {
    version: '1.0',
    requestContext: { requestId: 'request-1', condition: 'RetriesExhausted', approximateInvokeCount: 3 },
    requestPayload: event,
    responseContext: { statusCode: 200, executedVersion: '1', functionError: 'Unhandled' },
  };
  const call = { ...record, requestPayload: { commands: [command, command] } };
  for (const [sent, expected] of [
    [record, [`${id}:0 duplicate`]],
    [call, ['request-1:0 applied', 'request-1:1 applied']],
    [call, ['request-1:0 duplicate', 'request-1:1 duplicate']],
  ] as const) {
    await aws.sendMessage(outputs.UndeliveredUrl, sent);
    await runbook.run('Undelivered', 'lambda invoke');
    const { results } = runbook.readJson('answer.json') as { results: { commandId: string; status: string }[] };
    assert.deepEqual(
      results.map(({ commandId, status }) => `${commandId} ${status}`),
      expected,
    );
    assert.equal(await aws.queueDepth(outputs.UndeliveredUrl), 0);
  }
}

/** The runbook finds the malformed input of an earlier step. */
export async function listMalformedInput({ runbook }: Deployed): Promise<void> {
  const { Items } = JSON.parse(await runbook.run('Malformed', 'dynamodb scan')) as { Items: unknown[] };
  assert.equal(Items.length, 2);
}
