import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectBy } from '#aiwgd/ipc/client.js';
import type { Dial } from '#aiwgd/ipc/link.js';
import type { Handlers } from '#aiwgd/ipc/rpc-server.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { cleanup, eventually, type Message, makeServer, request, type TestServer } from './fixtures.js';

type Started = TestServer & { dial: Dial };

async function overSocket(handlers: Partial<Handlers>): Promise<Started> {
  const made = makeServer(handlers);
  await made.server.listen();
  const dial = async (): Promise<Duplex> => {
    const socket = connectSocket(made.path);
    await once(socket, 'connect');
    return socket;
  };
  return { ...made, dial };
}

/** Two ends of a stream in one process; as with a socket, one that is destroyed takes the other with it. */
async function inMemory(handlers: Partial<Handlers>): Promise<Started> {
  const made = makeServer(handlers);
  const dial = async (): Promise<Duplex> => {
    const [near, far] = duplexPair();
    near.on('close', () => far.destroy());
    far.on('close', () => {
      if (!far.writableFinished) near.destroy();
    });
    made.server.serve(far);
    return near;
  };
  return { ...made, dial };
}

describe.each([
  ['a socket', overSocket],
  ['a linked pair', inMemory],
])('over %s', (_name, start) => {
  it('calls, errors, events and output work, and closing ends all', async () => {
    const { server, feed, output, dial } = await start({
      'task.get': ({ taskId }) => ({ id: taskId, attempt: 1, state: 'completed' }) as Task,
      'task.output': (params) => output.read(params),
    });
    output.write('t', 1, 'stdout', 'text');
    const client = await connectBy({ dial, reconnect: false, clock: systemClock });
    cleanup(() => client.close());
    expect(await client.ping()).toMatchObject({ pong: true });
    await expect(client.task.cancel({ taskId: '' })).rejects.toMatchObject({ code: 'METHOD_NOT_FOUND' });
    await expect(client.task.get({ taskId: '' })).rejects.toMatchObject({ code: 'INVALID_PARAMS' });
    const events = client.events(['a']);
    await events.ready;
    feed.publish('a', { at: 1 });
    expect(await events.next()).toMatchObject({ value: { payload: { at: 1 } } });
    const chunks: unknown[] = [];
    for await (const chunk of client.output('t')) chunks.push(chunk);
    expect(chunks).toEqual([{ attempt: 1, stream: 'stdout', offset: 0, data: 'text' }]);
    client.close();
    await eventually(() => server.stats().clients === 0);
  });

  it('messages may be cut anywhere', async () => {
    const { dial } = await start({ 'task.get': ({ taskId }) => ({ id: taskId }) as Task });
    const id = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.constant(null),
    );
    const calls = fc.array(fc.tuple(id, fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })), {
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(calls, fc.integer({ min: 1, max: 50 }), async (list, size) => {
        const transport = await dial();
        const answers = collectLines(transport);
        const lines = list.map(
          ([each, taskId]) => `${JSON.stringify(request(each, 'task.get', { taskId }))}\n`,
        );
        const bytes = Buffer.from(lines.join(''));
        for (let at = 0; at < bytes.length; at += size) transport.write(bytes.subarray(at, at + size));
        transport.end();
        // Both sides go through JSON, which knows no -0.
        const expected = list.map(([each, taskId]) => ({ jsonrpc: '2.0', id: each, result: { id: taskId } }));
        expect(await answers).toEqual(JSON.parse(JSON.stringify(expected)));
      }),
      { numRuns: 60 },
    );
  });

  it('the server closes with its answers sent', async () => {
    let go: (() => void) | undefined;
    const { server, dial } = await start({
      'task.get': () => new Promise((answer) => (go = () => answer({ id: 'x' } as Task))),
    });
    const transport = await dial();
    const answers = collectLines(transport);
    transport.write(`${JSON.stringify(request(1, 'task.get', { taskId: 't' }))}\n`);
    await eventually(() => go !== undefined);
    const closing = server.close();
    go?.();
    expect(await answers).toMatchObject([{ id: 1, result: { id: 'x' } }]);
    transport.destroy();
    await closing;
  });
});

async function collectLines(transport: Duplex): Promise<Message[]> {
  let text = '';
  transport.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(transport, 'end');
  return Buffer.from(text, 'latin1')
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
