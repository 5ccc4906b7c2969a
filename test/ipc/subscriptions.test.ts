import { describe, expect, it } from 'vitest';
import { eventually, type Message, RawClient, request, startServer } from './fixtures.js';

const eventsOf = (client: RawClient): Message[] =>
  client.messages.filter(({ method }) => method === 'event').map(({ params }) => params.event);
const outputOf = (client: RawClient): Message[] =>
  client.messages.filter(({ method }) => method === 'output').map(({ params }) => params);

describe('subscribe', () => {
  it('delivers what matches, in order, after its answer, until unsubscribe', async () => {
    const { path, feed, server } = await startServer();
    const client = await RawClient.connect(path);
    const { result } = await client.ask(request(1, 'subscribe', { topics: ['build.*', 'task:done'] }));
    expect(server.stats()).toEqual({ clients: 1, subscriptions: 1 });
    const sent = ['build.a', 'other', 'task:done', 'build.b'].map((type) => feed.publish(type, { type }));
    await client.until(() => client.lines.length === 4);
    expect(eventsOf(client)).toEqual([sent[0], sent[2], sent[3]]);
    expect(client.messages[1]).toEqual({
      jsonrpc: '2.0',
      method: 'event',
      params: { subscription: result.subscription, event: sent[0] },
    });
    expect(await client.ask(request(2, 'unsubscribe', result))).toMatchObject({
      result: { unsubscribed: true },
    });
    expect(await client.ask(request(3, 'unsubscribe', result))).toMatchObject({
      result: { unsubscribed: false },
    });
    feed.publish('build.c');
    await client.ask(request(4, 'ping'));
    expect(eventsOf(client)).toHaveLength(3);
    expect(feed.listeners).toBe(0);
  });

  it('answers before the first event even in a batch that takes its time', async () => {
    let go: (() => void) | undefined;
    const { path, feed } = await startServer({
      'task.get': () => new Promise((resolve) => (go = () => resolve({} as never))),
    });
    const client = await RawClient.connect(path);
    client.write([request(1, 'subscribe', { topics: ['a'] }), request(2, 'task.get', { taskId: 'x' })]);
    await eventually(() => go !== undefined);
    feed.publish('a', { at: 1 });
    go?.();
    await client.until(() => client.lines.length === 2);
    expect(client.messages[0]).toHaveLength(2);
    expect(eventsOf({ messages: [client.messages[1]] } as RawClient)).toMatchObject([{ payload: { at: 1 } }]);
  });

  it('is bounded to 64 a connection and ends with it', async () => {
    const { path, feed, server, output } = await startServer();
    output.write('t', 1, 'stdout', 'x');
    const client = await RawClient.connect(path);
    client.write(
      ...Array.from({ length: 70 }, (_, id) => request(id, 'subscribe', { topics: ['*'], taskId: 't' })),
    );
    await client.until(() => client.messages.filter(({ id }) => id !== undefined).length === 70);
    expect(client.messages.filter(({ error }) => error?.code === -32006)).toHaveLength(6);
    expect(server.stats().subscriptions).toBe(64);
    client.socket.destroy();
    await eventually(() => feed.listeners === 0);
    expect(server.stats()).toEqual({ clients: 0, subscriptions: 0 });
  });

  it('drops the subscription of a reader that does not keep up, and tells it so', async () => {
    const { path, feed, server } = await startServer();
    const slow = await RawClient.connect(path);
    const quick = await RawClient.connect(path);
    await slow.ask(request(1, 'subscribe', { topics: ['storm'] }));
    await quick.ask(request(1, 'subscribe', { topics: ['storm'] }));
    slow.socket.pause();
    const payload = { text: 'x'.repeat(10_000) };
    let published = 0;
    while (server.stats().subscriptions === 2 && published < 5_000) {
      feed.publish('storm', payload);
      published++;
      await quick.until(() => quick.lines.length === published + 1);
    }
    expect(server.stats().subscriptions).toBe(1);
    expect(published).toBeLessThan(1_500);
    slow.socket.resume();
    await slow.until(() => slow.lines.at(-1)?.includes('dropped') === true);
    const last = slow.messages.at(-1);
    expect(last).toMatchObject({ method: 'subscription.dropped', params: { reason: expect.any(String) } });
    const got = eventsOf(slow).map(({ id }) => id);
    expect(got).toEqual(
      eventsOf(quick)
        .slice(0, got.length)
        .map(({ id }) => id),
    );
    expect(await slow.ask(request(2, 'ping'))).toMatchObject({ id: 2 });
  });

  it('a large answer on the same connection does not cost a subscription', async () => {
    const { path, feed, server } = await startServer({
      'task.get': () => ({ id: 'x'.repeat(10 * 1024 * 1024) }) as never,
    });
    const client = await RawClient.connect(path);
    await client.ask(request(1, 'subscribe', { topics: ['a'] }));
    client.socket.pause();
    client.write(request(2, 'task.get', { taskId: 'x' }));
    const other = await RawClient.connect(path);
    await other.ask(request(1, 'ping'));
    for (let at = 0; at < 100; at++) feed.publish('a', { at });
    client.socket.resume();
    await client.until(() => client.lines.length === 102);
    expect(eventsOf(client).map(({ payload }) => payload.at)).toEqual(
      Array.from({ length: 100 }, (_, at) => at),
    );
    expect(server.stats().subscriptions).toBe(1);
  });

  it('passes over an event that is no JSON', async () => {
    const { path, feed, log } = await startServer();
    const client = await RawClient.connect(path);
    await client.ask(request(1, 'subscribe', { topics: ['a'] }));
    feed.publish('a', { big: 1n });
    feed.publish('a', { at: 2 });
    await client.until(() => client.lines.length === 2);
    expect(eventsOf(client)).toMatchObject([{ payload: { at: 2 } }]);
    expect(log.lines).toMatchObject([{ level: 'warn' }]);
  });
});

const subscribe = (taskId: string, fromOffset?: number): object =>
  request(1, 'subscribe', {
    topics: ['task:*'],
    taskId,
    ...(fromOffset === undefined ? {} : { fromOffset }),
  });

describe('output of a task', () => {
  it('an unknown task is not found', async () => {
    const { path } = await startServer();
    const client = await RawClient.connect(path);
    expect(await client.ask(subscribe('task-9999'))).toMatchObject({ error: { code: -32001 } });
  });

  it('follows both streams from any offset, and comes whole before the end of the task', async () => {
    const { path, feed, output } = await startServer();
    output.write('t', 1, 'stdout', 'hello ');
    output.write('t', 1, 'stderr', 'oh');
    const client = await RawClient.connect(path);
    await client.ask(subscribe('t', 2));
    await client.until(() => outputOf(client).length === 2);
    expect(outputOf(client)).toMatchObject([
      { taskId: 't', attempt: 1, stream: 'stdout', offset: 2, data: 'llo ' },
      { stream: 'stderr', offset: 0, data: 'oh' },
    ]);
    output.write('t', 1, 'stdout', 'world');
    feed.publish('task:output', { taskId: 't' });
    await client.until(() => outputOf(client).length === 3);
    output.write('t', 1, 'stdout', 'x'.repeat(500_000));
    feed.publish('task:completed', { taskId: 't', state: 'completed' });
    feed.publish('task:queued', { taskId: 'u', state: 'queued' });
    await client.until(() => eventsOf(client).length === 3);
    const kinds = client.messages.slice(1).map(({ method, params }) => params.event?.type ?? method);
    expect(kinds.lastIndexOf('output')).toBeLessThan(kinds.indexOf('task:completed'));
    const stdout = outputOf(client).filter(({ stream }) => stream === 'stdout');
    expect(stdout.map(({ data }) => data).join('')).toBe(`llo world${'x'.repeat(500_000)}`);
    let next = 2;
    for (const { offset, data } of stdout) {
      expect(offset).toBe(next);
      next += Buffer.byteLength(data);
    }
  });

  it('goes on with the next attempt from its beginning', async () => {
    const { path, feed, output } = await startServer();
    output.attempts.set('t', { attempt: 0, ended: false });
    const client = await RawClient.connect(path);
    await client.ask(subscribe('t'));
    output.write('t', 1, 'stdout', 'first');
    feed.publish('task:started', { taskId: 't', state: 'running' });
    await client.until(() => outputOf(client).length === 1);
    output.write('t', 1, 'stdout', '!');
    feed.publish('task:retrying', { taskId: 't', state: 'queued' });
    output.write('t', 2, 'stdout', 'second');
    feed.publish('task:started', { taskId: 't', state: 'running' });
    output.write('t', 2, 'stderr', 'end');
    feed.publish('task:failed', { taskId: 't', state: 'failed' });
    await client.until(() => eventsOf(client).some(({ type }) => type === 'task:failed'));
    expect(
      outputOf(client).map(({ attempt, stream, offset, data }) => [attempt, stream, offset, data]),
    ).toEqual([
      [1, 'stdout', 0, 'first'],
      [1, 'stdout', 5, '!'],
      [2, 'stdout', 0, 'second'],
      [2, 'stderr', 0, 'end'],
    ]);
    expect(eventsOf(client).map(({ type }) => type)).toEqual([
      'task:started',
      'task:retrying',
      'task:started',
      'task:failed',
    ]);
    const kinds = client.messages.slice(1).map(({ method, params }) => params.event?.type ?? method);
    expect(kinds.lastIndexOf('output')).toBeLessThan(kinds.indexOf('task:failed'));
  });

  it('reads no further than the peer does', async () => {
    const { path, output, feed } = await startServer();
    const whole = Array.from({ length: 200_000 }, (_, line) => `line ${line} ${'.'.repeat(80)}\n`).join('');
    output.write('t', 1, 'stdout', whole);
    const client = await RawClient.connect(path);
    await client.ask(subscribe('t'));
    client.socket.pause();
    const other = await RawClient.connect(path);
    for (let turn = 0; turn < 100; turn++) await other.ask(request(turn, 'ping'));
    expect(Math.max(...output.reads.map(({ offset }) => offset))).toBeLessThan(3 * 1024 * 1024);
    client.socket.resume();
    feed.publish('task:completed', { taskId: 't' });
    await client.until(() => client.lines.at(-1)?.includes('"task:completed"') === true);
    expect(
      outputOf(client)
        .map(({ data }) => data)
        .join('') === whole,
    ).toBe(true);
  });

  it('ends with a reason when the output cannot be read', async () => {
    const { path, output } = await startServer();
    output.write('t', 1, 'stdout', 'x');
    output.read = async () => {
      throw new Error('EIO');
    };
    const client = await RawClient.connect(path);
    client.write(subscribe('t'));
    await client.until(() => client.lines.length === 2);
    expect(client.messages[1]).toMatchObject({
      method: 'subscription.dropped',
      params: { reason: expect.stringContaining('EIO') },
    });
  });
});
