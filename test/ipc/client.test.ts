import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { AiwgdError, type AiwgEvent, type Client, type ConnectOptions, connect } from '#aiwgd/ipc/client.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import type { Task, TaskState } from '#aiwgd/protocol/task.js';
import { cleanup, eventually, startServer, type TestServer, temporaryFolder } from './fixtures.js';

async function connected(socket: string, options: ConnectOptions = {}): Promise<Client> {
  const client = await connect({ socket, ...options });
  cleanup(() => client.close());
  return client;
}

async function take<T>(stream: AsyncIterator<T, unknown>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const { done, value } = await stream.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

/** A server whose tasks a test moves by hand. */
async function taskServer(
  options: { address?: string } = {},
): Promise<TestServer & { state: { task: TaskState } }> {
  const state: { task: TaskState } = { task: 'running' };
  const made: TestServer = await startServer(
    {
      'task.get': async ({ taskId }) => {
        const newest = await made.output.attempt(taskId);
        if (newest === undefined) throw new AiwgdError('NOT_FOUND', `There is no task "${taskId}".`);
        return { id: taskId, attempt: newest.attempt, state: state.task } as Task;
      },
      'task.output': (params) => made.output.read(params),
    },
    options,
  );
  return { ...made, state };
}

describe('connect', () => {
  it('says how to get a daemon or a project', async () => {
    const project = temporaryFolder();
    mkdirSync(projectPaths(project).daemon, { recursive: true });
    await expect(connect({ project })).rejects.toMatchObject({
      code: 'DAEMON_NOT_RUNNING',
      message: expect.stringContaining('aiwgd start'),
    });
    const before = process.cwd();
    process.chdir('/');
    try {
      await expect(connect()).rejects.toMatchObject({ code: 'NO_PROJECT' });
    } finally {
      process.chdir(before);
    }
  });

  it('can be given up', async () => {
    const { path } = await startServer();
    await expect(connect({ socket: path, signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('loads nothing but itself and Node', () => {
    const seen = new Set<string>();
    const foreign: string[] = [];
    const follow = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?'([^']+)'/g)) {
        if (name.startsWith('.')) follow(join(dirname(file), name));
        else if (!name.startsWith('node:')) foreign.push(`${name} in ${file}`);
      }
    };
    follow(fileURLToPath(import.meta.resolve('#aiwgd/ipc/client.js')));
    expect(foreign).toEqual([]);
    expect(seen.size).toBeGreaterThan(8);
  });
});

describe('calls', () => {
  it('every method is a function by its name, with its types', async () => {
    const { path } = await startServer({
      'task.submit': ({ prompt }) => ({ taskId: prompt, state: 'queued', deduped: false }),
      'event.dead.list': () => [],
      'event.emit': ({ topic, payload, cause }) => ({ eventId: JSON.stringify([topic, payload, cause]) }),
    });
    const client = await connected(path);
    expect(await client.ping()).toEqual({ pong: true, pid: 1, version: '1' });
    const submitted = await client.task.submit({ prompt: 'do' });
    expect(submitted).toEqual({ taskId: 'do', state: 'queued', deduped: false });
    expectTypeOf(submitted).toEqualTypeOf<{ taskId: string; state: TaskState; deduped: boolean }>();
    expect(await client.event.dead.list()).toEqual([]);
    expect(await client.call('event.dead.list')).toEqual([]);
    expect(await client.emit('a.b', { x: 1 }, { cause: 'e1' })).toEqual({ eventId: '["a.b",{"x":1},"e1"]' });
    expect(client.task).toBe(client.task);
    // @ts-expect-error: there is no such method
    await expect(client.task.nothing()).rejects.toMatchObject({ code: 'METHOD_NOT_FOUND' });
    // @ts-expect-error: a prompt is needed
    await expect(client.task.submit({})).rejects.toMatchObject({ code: 'INVALID_PARAMS' });
    expect(await Promise.resolve(client)).toBe(client);
  });

  it('errors have the code and the data they were thrown with', async () => {
    const { path } = await startServer({
      'task.get': () => {
        throw new AiwgdError('TIMED_OUT', 'Too late.', { data: ['a'] });
      },
      'task.cancel': () => {
        throw new AiwgdError('CONFLICT', 'No.', { data: { state: 'done' } });
      },
    });
    const client = await connected(path);
    const error = await client.task.get({ taskId: 'x' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AiwgdError);
    expect(error).toMatchObject({ code: 'TIMED_OUT', message: 'Too late.', data: ['a'] });
    await expect(client.task.cancel({ taskId: 'x' })).rejects.toMatchObject({
      code: 'CONFLICT',
      data: { state: 'done' },
    });
  });

  it('what cannot be sent harms only its own call', async () => {
    const { path } = await startServer();
    const client = await connected(path);
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    await expect(client.emit('a', cycle)).rejects.toMatchObject({ code: 'INVALID_PARAMS' });
    await expect(client.emit('a', { text: 'x'.repeat(17 * 1024 * 1024) })).rejects.toMatchObject({
      code: 'LINE_TOO_LONG',
    });
    expect(await client.ping()).toMatchObject({ pong: true });
  });

  it('an aborted signal ends the waiting, and the late answer is passed over', async () => {
    let go: (() => void) | undefined;
    const { path } = await startServer({
      'task.get': () => new Promise((resolve) => (go = () => resolve({} as never))),
    });
    const client = await connected(path);
    const controller = new AbortController();
    const call = client.task.get({ taskId: 'x' }, { signal: controller.signal });
    await eventually(() => go !== undefined);
    controller.abort();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    go?.();
    expect(await client.ping()).toMatchObject({ pong: true });
    await expect(client.ping({}, { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('close rejects what is in flight and what comes after', async () => {
    let go: (() => void) | undefined;
    const { path, server } = await startServer({
      'task.get': () => new Promise((answer) => (go = () => answer({} as never))),
    });
    const client = await connected(path, { reconnect: true });
    const call = client.task.get({ taskId: 'x' });
    const events = client.events(['*']);
    await events.ready;
    await eventually(() => go !== undefined);
    client.close();
    go?.();
    await expect(call).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await expect(client.ping()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await eventually(() => server.stats().clients === 0);
  });
});

describe('events', () => {
  it('are collected from the beginning, and end with the loop', async () => {
    const { path, feed, server } = await startServer();
    const client = await connected(path);
    const events = client.events(['a', 'b.*']);
    await events.ready;
    for (const type of ['a', 'x', 'b.c']) feed.publish(type);
    const seen: string[] = [];
    for await (const event of events) {
      expectTypeOf(event).toEqualTypeOf<AiwgEvent>();
      seen.push(event.type);
      expect(await client.ping()).toMatchObject({ pong: true });
      if (seen.length === 2) break;
    }
    expect(seen).toEqual(['a', 'b.c']);
    await eventually(() => server.stats().clients === 1);
    expect(feed.listeners).toBe(0);
  });

  it('a refused subscription and an aborted signal throw in the loop', async () => {
    const { path } = await startServer();
    const client = await connected(path);
    await expect(client.events(['not a topic']).next()).rejects.toMatchObject({ code: 'INVALID_PARAMS' });
    const controller = new AbortController();
    const events = client.events(['*'], { signal: controller.signal });
    await events.ready;
    const next = events.next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ name: 'AbortError' });
    expect(await events.next()).toMatchObject({ done: true });
    await expect(client.events(['*'], { signal: controller.signal }).next()).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('a reader who stops reading holds up nothing, costs little, and learns what it missed', async () => {
    const { path, feed, server } = await startServer();
    const client = await connected(path);
    const events = client.events(['storm']);
    await events.ready;
    let published = 0;
    while (server.stats().subscriptions === 1 && published < 10_000) {
      feed.publish('storm', { text: 'x'.repeat(10_000) });
      published++;
      if (published % 20 === 0) await client.ping();
    }
    expect(server.stats().subscriptions).toBe(0);
    let read = 0;
    const loop = async (): Promise<void> => {
      for await (const _ of events) read++;
    };
    await expect(loop()).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(read).toBeGreaterThan(200);
    expect(read).toBeLessThan(published);
  });
});

describe('output', () => {
  it('yields what was and what comes, and returns the ended task', async () => {
    const { path, feed, output, state } = await taskServer();
    output.write('t', 1, 'stdout', 'hello');
    const client = await connected(path);
    const stream = client.output('t', { fromOffset: 1 });
    expect(await take(stream, 1)).toEqual([{ attempt: 1, stream: 'stdout', offset: 1, data: 'ello' }]);
    const next = stream.next();
    output.write('t', 1, 'stderr', 'ä');
    feed.publish('task:output', { taskId: 't' });
    expect(await next).toMatchObject({ value: { stream: 'stderr', offset: 0, data: 'ä' } });
    output.write('t', 2, 'stdout', 'again');
    feed.publish('task:started', { taskId: 't' });
    expect(await take(stream, 1)).toEqual([{ attempt: 2, stream: 'stdout', offset: 0, data: 'again' }]);
    output.write('t', 2, 'stdout', '.');
    state.task = 'failed';
    feed.publish('task:failed', { taskId: 't' });
    expect(await take(stream, 1)).toMatchObject([{ offset: 5, data: '.' }]);
    expect(await stream.next()).toMatchObject({ done: true, value: { id: 't', state: 'failed' } });
    await eventually(() => feed.listeners === 0);
  });

  it('of a task that has ended ends by itself; an unknown task is not found; a signal ends the waiting', async () => {
    const { path, output, state } = await taskServer();
    const client = await connected(path);
    await expect(client.output('none').next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    output.write('t', 1, 'stdout', 'x');
    const controller = new AbortController();
    const stream = client.output('t', { signal: controller.signal });
    await stream.next();
    const waiting = stream.next();
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    state.task = 'completed';
    const ended = client.output('t');
    expect(await take(ended, 2)).toMatchObject([{ data: 'x' }]);
  });
});

describe('a daemon that restarts', () => {
  it('without reconnect, calls reject from then on', async () => {
    const { path, server } = await startServer();
    const client = await connected(path);
    await client.ping();
    await server.close();
    await expect(client.ping()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await expect(client.ping()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('with reconnect, calls in flight reject, later ones wait, events and output go on', async () => {
    const address = join(temporaryFolder(), 'daemon', 'daemon.sock');
    const first = await taskServer({ address });
    first.output.write('t', 1, 'stdout', 'before');
    const client = await connected(address, { reconnect: true });
    const events = client.events(['note']);
    await events.ready;
    first.feed.publish('note', { at: 1 });
    const stream = client.output('t');
    expect(await take(stream, 1)).toMatchObject([{ data: 'before' }]);
    const more = stream.next();
    await first.server.close();

    const early = client.ping();
    const controller = new AbortController();
    const impatient = client.ping({}, { signal: controller.signal });
    controller.abort();
    await expect(impatient).rejects.toMatchObject({ name: 'AbortError' });

    const second = await taskServer({ address });
    second.output.write('t', 1, 'stdout', 'before and after');
    await early.catch(() => client.ping());
    await eventually(() => second.server.stats().subscriptions === 2);
    second.feed.publish('note', { at: 2 });
    expect((await take(events, 2)).map(({ payload }) => payload.at)).toEqual([1, 2]);
    expect(await more).toMatchObject({ value: { offset: 6, data: ' and after' } });
  });

  it('and is away when a stream begins is waited for', async () => {
    const address = join(temporaryFolder(), 'daemon', 'daemon.sock');
    const first = await taskServer({ address });
    const client = await connected(address, { reconnect: true });
    await first.server.close();
    const events = client.events(['note']);
    const chunk = client.output('t').next();
    const second = await taskServer({ address });
    second.output.write('t', 1, 'stdout', 'all of it');
    expect(await chunk).toMatchObject({ value: { offset: 0, data: 'all of it' } });
    await events.ready;
    second.feed.publish('note', { at: 2 });
    expect(await take(events, 1)).toMatchObject([{ payload: { at: 2 } }]);
  });

  it('close ends the waiting for it', async () => {
    const { path, server } = await startServer();
    const client = await connected(path, { reconnect: true });
    await server.close();
    await client.ping().catch(() => {});
    const waiting = Promise.allSettled([client.ping(), client.events(['*']).next()]);
    client.close();
    expect((await waiting).map(({ status }) => status)).toContain('rejected');
  });
});
