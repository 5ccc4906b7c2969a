import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup, eventually, RawClient, request, startServer, temporaryFolder } from './fixtures.js';

/** Memory in use after a collection, in MiB; the garbage collector is asked only where it can be. */
function residentMiB(): number {
  return process.memoryUsage().rss / 1024 / 1024;
}

describe('what a client sends', () => {
  it('every kind of garbage is answered, and the next request works', async () => {
    const { path } = await startServer();
    const client = await RawClient.connect(path);
    const garbage: [string | Buffer, number][] = [
      ['null', -32600],
      ['42', -32600],
      ['"text"', -32600],
      ['{', -32700],
      ['\u0000', -32700],
      [Buffer.from([0xff, 0xfe]), -32700],
      [Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xc3"}', 'latin1'), -32700],
      ['[]', -32600],
      ['['.repeat(20_000), -32700],
      [`{"jsonrpc":"2.0","id":${'['.repeat(20_000)}${']'.repeat(20_000)},"method":"ping"}`, -32600],
    ];
    for (const [line, code] of garbage) {
      const before = client.lines.length;
      client.socket.write(line);
      client.socket.write('\n');
      await client.until(() => client.lines.length > before);
      expect(client.messages.at(-1)).toMatchObject({ id: null, error: { code } });
      expect(await client.ask(request(before, 'ping'))).toMatchObject({ id: before, result: { pong: true } });
    }
  });

  it('characters may come one byte at a time, and lines end as they like', async () => {
    const { path } = await startServer({ 'task.get': ({ taskId }) => ({ id: taskId }) as never });
    const client = await RawClient.connect(path);
    const text = '\r\n\n{"jsonrpc":"2.0","id":"ä𝄞","method":"task.get","params":{"taskId":"€"}}\r\n';
    for (const byte of Buffer.from(text)) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until(() => client.lines.length > 0);
    expect(client.messages).toEqual([{ jsonrpc: '2.0', id: 'ä𝄞', result: { id: '€' } }]);
  });

  it('ids that are null, fractional or used twice are answered as they came', async () => {
    const { path } = await startServer();
    const client = await RawClient.connect(path);
    for (const id of [null, 0.5, 7, 7, '', 0]) client.write(request(id, 'ping'));
    await client.until(() => client.lines.length === 6);
    expect(client.messages.map(({ id }) => id)).toEqual([null, 0.5, 7, 7, '', 0]);
  });

  it('a line of 100 MB is refused at 16 MiB, and the connection closed', async () => {
    const { path, server } = await startServer();
    const client = await RawClient.connect(path);
    const before = residentMiB();
    const piece = Buffer.alloc(1024 * 1024, 'x');
    for (let sent = 0; sent < 100 && !client.closed; sent++) {
      await new Promise((resolve) => client.socket.write(piece, resolve));
    }
    await client.untilClosed();
    expect(client.messages).toMatchObject([
      { id: null, error: { code: -32005, data: { code: 'LINE_TOO_LONG' } } },
    ]);
    expect(residentMiB() - before).toBeLessThan(90);
    await eventually(() => server.stats().clients === 0);
  });

  it('10,000 requests in one write are all answered, in order', async () => {
    const { path } = await startServer();
    const client = await RawClient.connect(path);
    client.write(...Array.from({ length: 10_000 }, (_, id) => request(id, 'ping')));
    await client.until(() => client.lines.length === 10_000);
    expect(client.messages.map(({ id }) => id)).toEqual(Array.from({ length: 10_000 }, (_, id) => id));
  });

  it('requests run concurrently, up to a bound, and begin in order', async () => {
    const begun: string[] = [];
    const release: (() => void)[] = [];
    const { path } = await startServer({
      'task.get': async ({ taskId }) => {
        begun.push(taskId);
        await new Promise<void>((resolve) => release.push(resolve));
        return { id: taskId } as never;
      },
    });
    const client = await RawClient.connect(path);
    const ids = Array.from({ length: 1000 }, (_, at) => `t${at}`);
    client.write(...ids.map((taskId, id) => request(id, 'task.get', { taskId })));
    await eventually(() => begun.length === 256);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(begun).toEqual(ids.slice(0, 256));
    // The last one is answered first.
    release.pop()?.();
    await client.until(() => client.lines.length === 1);
    expect(client.messages[0].id).toBe(255);
    while (client.lines.length < 1000) {
      for (const go of release.splice(0)) go();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(begun).toEqual(ids);
  });

  it('a client that never reads costs a bounded amount of memory and harms nobody', async () => {
    const big = 'x'.repeat(10_000);
    let calls = 0;
    const { path } = await startServer({
      'task.get': () => {
        calls++;
        return { id: big } as never;
      },
    });
    const greedy = await RawClient.connect(path);
    greedy.socket.pause();
    const lines = `${JSON.stringify(request(1, 'task.get', { taskId: 'x' }))}\n`.repeat(10_000);
    greedy.socket.write(lines);
    const client = await RawClient.connect(path);
    for (let turn = 0; turn < 50; turn++) await client.ask(request(turn, 'ping'));
    // 1 MiB of answers, what the kernel holds, and one more: far from 10,000.
    expect(calls).toBeLessThan(250);
    const stopped = calls;
    for (let turn = 0; turn < 50; turn++) await client.ask(request(turn, 'ping'));
    expect(calls).toBe(stopped);
    // When it comes to read, it gets everything.
    greedy.socket.resume();
    await greedy.until(() => greedy.lines.length === 10_000);
    expect(calls).toBe(10_000);
  });

  it('a client that closes its side after the request still gets the answer', async () => {
    const { path, server } = await startServer({
      'task.get': async ({ taskId }) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { id: taskId } as never;
      },
    });
    const client = await RawClient.connect(path, { allowHalfOpen: true });
    client.socket.write(`${JSON.stringify(request(1, 'ping'))}\n`);
    // The last line may even lack its newline.
    client.socket.end(JSON.stringify(request(2, 'task.get', { taskId: 'a' })));
    await once(client.socket, 'end');
    expect(client.messages.map(({ id }) => id)).toEqual([1, 2]);
    await eventually(() => server.stats().clients === 0);
  });

  it('that holds for requests that are still waiting for their turn, too', async () => {
    const { path } = await startServer({
      'task.get': async ({ taskId }) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return { id: taskId } as never;
      },
    });
    const client = await RawClient.connect(path, { allowHalfOpen: true });
    const lines = Array.from({ length: 700 }, (_, id) =>
      JSON.stringify(request(id, 'task.get', { taskId: `t${id}` })),
    );
    client.socket.end(lines.join('\n'));
    await once(client.socket, 'end');
    const ids = Array.from({ length: 700 }, (_, id) => id);
    expect(client.messages.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(ids);
  });

  it('a client that vanishes in the middle of its call harms nobody', async () => {
    let go: (() => void) | undefined;
    const { path, server } = await startServer({
      'task.get': () => new Promise((resolve) => (go = () => resolve({} as never))),
    });
    const client = await RawClient.connect(path);
    client.write(request(1, 'task.get', { taskId: 'x' }));
    await eventually(() => go !== undefined);
    client.socket.destroy();
    go?.();
    await eventually(() => server.stats().clients === 0);
    expect(await (await RawClient.connect(path)).ask(request(2, 'ping'))).toMatchObject({ id: 2 });
  });

  it('a notification whose handler throws has no answer', async () => {
    const { path, log } = await startServer({
      'task.get': () => {
        throw new Error('oh');
      },
    });
    const client = await RawClient.connect(path);
    client.write({ jsonrpc: '2.0', method: 'task.get', params: { taskId: 'x' } });
    expect(await client.ask(request(1, 'ping'))).toMatchObject({ id: 1 });
    expect(client.lines).toHaveLength(1);
    expect(log.lines).toMatchObject([{ level: 'error', fields: { method: 'task.get' } }]);
  });
});

/** In groups, for the kernel lets only so many wait to be accepted. */
async function connectMany(path: string, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < count) {
    const group = Math.min(100, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: group }, () => RawClient.connect(path)))));
  }
  return clients;
}

describe('many clients', () => {
  it('serves 2,000 at a time', async () => {
    const { path, server } = await startServer();
    const clients = await connectMany(path, 2000);
    const answers = await Promise.all(clients.map((client, id) => client.ask(request(id, 'ping'))));
    expect(answers.map(({ id }) => id)).toEqual(clients.map((_, id) => id));
    expect(server.stats()).toEqual({ clients: 2000, subscriptions: 0 });
    for (const { socket } of clients) socket.destroy();
    await eventually(() => server.stats().clients === 0);
  });

  it('turns away the one above 4,096 with a reason', async () => {
    const { path, server } = await startServer();
    await connectMany(path, 4096);
    await eventually(() => server.stats().clients === 4096);
    const late = await RawClient.connect(path);
    await late.untilClosed();
    expect(late.messages).toMatchObject([
      { id: null, error: { code: -32006, data: { code: 'OVERLOADED' } } },
    ]);
    expect(server.stats().clients).toBe(4096);
  });

  it('running out of file descriptors ends nothing', async () => {
    const path = join(temporaryFolder(), 'daemon', 'daemon.sock');
    const script = `
      import { RpcServer } from '#aiwgd/ipc/rpc-server.js';
      import { systemClock } from '#aiwgd/platform/clock.js';
      const quiet = () => {};
      const server = new RpcServer({ address: ${JSON.stringify(path)}, handlers: { ping: () => 'pong' },
        events: {}, output: {}, clock: systemClock, version: '1',
        log: { debug: quiet, info: quiet, warn: quiet, error: quiet } });
      await server.listen();
      console.log('ready');`;
    const child = spawn(
      'sh',
      ['-c', 'ulimit -n 200; exec "$0" --input-type=module -e "$1"', process.execPath, script],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    cleanup(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    const first = await RawClient.connect(path);
    expect(await first.ask(request(1, 'ping'))).toMatchObject({ result: 'pong' });
    const crowd = await connectMany(path, 300);
    expect(await first.ask(request(2, 'ping'))).toMatchObject({ result: 'pong' });
    for (const { socket } of crowd) socket.destroy();
    const until = performance.now() + 10_000;
    for (;;) {
      const again = await RawClient.connect(path);
      const answer = await again.ask(request(3, 'ping')).catch(() => undefined);
      if (answer !== undefined) break;
      if (performance.now() > until) throw new Error('the server did not recover');
    }
    expect(child.exitCode).toBeNull();
  });
});

describe('close', () => {
  it('lets answers in flight go out, and refuses what comes after', async () => {
    let go: (() => void) | undefined;
    const { path, server } = await startServer({
      'task.get': () => new Promise((resolve) => (go = () => resolve({ id: 'done' } as never))),
    });
    const client = await RawClient.connect(path);
    const idle = await RawClient.connect(path);
    client.write(request(1, 'task.get', { taskId: 'x' }));
    await eventually(() => go !== undefined);
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await idle.untilClosed();
    go?.();
    await client.untilClosed();
    expect(client.messages).toMatchObject([{ id: 1, result: { id: 'done' } }]);
    await closing;
    await expect(RawClient.connect(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('waits two seconds at most for a handler or a reader', async () => {
    const { path, server } = await startServer({ 'task.get': () => new Promise(() => {}) });
    const client = await RawClient.connect(path);
    client.write(request(1, 'task.get', { taskId: 'x' }));
    await client.ask(request(2, 'ping'));
    const started = performance.now();
    await server.close();
    expect(performance.now() - started).toBeLessThan(5_000);
    await client.untilClosed();
  });
});
