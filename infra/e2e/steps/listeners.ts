// Consumers of events: one behind a rule of the event bus, one of the FIFO queue. Both receive all
// events of the whole test.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import type { Message } from '../aws.ts';
import { BusListenerStack } from '../events/bus-listener-stack.ts';
import type { PublishedEvent } from '../events/event.ts';
import { Listener } from '../events/listener.ts';
import { Repeater } from '../events/repeater.ts';
import { STACK_NAME } from '../stack.ts';
import type { Deployed } from './deployment.ts';

const LISTENER_STACK = `${STACK_NAME}-bus-listener`;
export interface Listeners {
  bus: Listener;
  queue: Listener;
  /** Puts events on the bus again, so that every rule delivers them twice. */
  repeater: Repeater;
}

export async function startListeners({ aws, cdk, directory, outputs }: Deployed): Promise<Listeners> {
  const assembly = assemblyIn(directory);
  const app = new App({ outdir: assembly, analyticsReporting: false });
  new BusListenerStack(app, LISTENER_STACK, outputs.BusName);
  app.synth();
  await cdk.forStack(LISTENER_STACK).deploy(assembly);
  const { QueueUrl } = (await aws.stackOutputs(LISTENER_STACK)) ?? {};
  const repeater = new Repeater((event) => aws.putEvent(outputs.BusName, event.type, event, 'millrace'));
  return {
    bus: new Listener(aws, QueueUrl ?? assert.fail('the queue of the bus'), parseBusMessage, (event) =>
      repeater.observe(event),
    ),
    queue: new Listener(aws, outputs.EventsQueueUrl, parseQueueMessage),
    repeater,
  };
}

/** Stops when all events have been received. */
export async function stopListeners({ bus, queue, repeater }: Listeners): Promise<void> {
  await repeater.end();
  await bus.stop();
  await queue.stop();
}

export async function destroyListener({ cdk, directory }: Deployed): Promise<void> {
  await cdk.forStack(LISTENER_STACK).destroy(assemblyIn(directory));
}

function assemblyIn(directory: string): string {
  return join(directory, 'bus-listener');
}

function parseBusMessage({ body }: Message): PublishedEvent {
  const message = JSON.parse(body) as { 'source': string; 'detail-type': string; 'detail': PublishedEvent };
  assert.deepEqual([message.source, message['detail-type']], ['millrace', message.detail.type]);
  return message.detail;
}

function parseQueueMessage({ body, group }: Message): PublishedEvent {
  const event = JSON.parse(body) as PublishedEvent;
  assert.equal(group, event.playerId, 'the message group of an event is its player');
  return event;
}
