import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { OutputFeed } from '#aiwgd/ipc/output-pump.js';
import { type Handlers, RpcServer, type RpcServerOptions } from '#aiwgd/ipc/rpc-server.js';
import type { EventFeed } from '#aiwgd/ipc/subscriptions.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { Log } from '#aiwgd/platform/log.js';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import type { OutputSlice, OutputStream } from '#aiwgd/protocol/method-types.js';
import { topicMatcher } from '#aiwgd/protocol/topic.js';

/** What came over the wire, of whatever shape; a test says what it expects of it. */
// oxlint-disable-next-line typescript/no-explicit-any -- giving every answer a type would hide wrong ones
export type Message = any;

const cleanups: (() => unknown)[] = [];

/** Runs after the test, the last registered first. */
export function cleanup(work: () => unknown): void {
  cleanups.push(work);
}

afterEach(async () => {
  for (const work of cleanups.splice(0).toReversed()) await work();
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-ipc-'));
  cleanup(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface LogLine {
  level: string;
  fields: object;
  message: string;
}

export function recordingLog(): Log & { lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A feed that delivers at once, in order, as the router's own does. */
export class TestFeed implements EventFeed {
  readonly #listeners = new Set<(event: AiwgEvent) => void>();
  #count = 0;

  get listeners(): number {
    return this.#listeners.size;
  }

  subscribe(globs: string[], listener: (event: AiwgEvent) => void): { close(): void } {
    const matchers = globs.map(topicMatcher);
    const filtered = (event: AiwgEvent): void => {
      if (matchers.some((matches) => matches(event.type))) listener(event);
    };
    this.#listeners.add(filtered);
    return { close: () => void this.#listeners.delete(filtered) };
  }

  publish(type: string, payload: Record<string, unknown> = {}): AiwgEvent {
    const id = `e${String(++this.#count).padStart(6, '0')}`;
    const event = { id, type, source: 'test', timestamp: '2026-01-01T00:00:00.000Z', payload };
    for (const listener of this.#listeners) listener(event);
    return event;
  }
}

/** Output of tasks, kept in memory by attempt and stream. */
export class TestOutput implements OutputFeed {
  readonly attempts = new Map<string, { attempt: number; ended: boolean }>();
  readonly #bytes = new Map<string, Buffer>();
  readonly reads: { stream: OutputStream; offset: number }[] = [];

  write(taskId: string, attempt: number, stream: OutputStream, data: string | Buffer): void {
    const key = `${taskId}/${attempt}/${stream}`;
    this.#bytes.set(key, Buffer.concat([this.#bytes.get(key) ?? Buffer.alloc(0), Buffer.from(data)]));
    const known = this.attempts.get(taskId);
    if (known === undefined || known.attempt < attempt) this.attempts.set(taskId, { attempt, ended: false });
  }

  async attempt(taskId: string): Promise<{ attempt: number; ended: boolean } | undefined> {
    return this.attempts.get(taskId);
  }

  async read(params: {
    taskId: string;
    attempt?: number;
    stream?: OutputStream;
    offset?: number;
    limit?: number;
  }): Promise<OutputSlice> {
    const { taskId, attempt = this.attempts.get(taskId)?.attempt, stream = 'stdout', offset = 0 } = params;
    const bytes = this.#bytes.get(`${taskId}/${attempt}/${stream}`);
    if (bytes === undefined && !this.attempts.has(taskId)) throw new AiwgdError('NOT_FOUND', 'no such task');
    this.reads.push({ stream, offset });
    const slice = (bytes ?? Buffer.alloc(0)).subarray(offset, offset + (params.limit ?? 65_536));
    return { data: slice.toString(), nextOffset: offset + slice.length, eof: false };
  }
}

export interface TestServer {
  server: RpcServer;
  feed: TestFeed;
  output: TestOutput;
  log: ReturnType<typeof recordingLog>;
  path: string;
}

export function makeServer(
  handlers: Partial<Handlers> = {},
  options: Partial<RpcServerOptions> = {},
): TestServer {
  const feed = new TestFeed();
  const output = new TestOutput();
  const log = recordingLog();
  const path = options.address ?? join(temporaryFolder(), 'daemon', 'daemon.sock');
  const all = { ping: () => ({ pong: true, pid: 1, version: '1' }), ...handlers } as Handlers;
  const server = new RpcServer({
    address: path,
    handlers: all,
    events: feed,
    output,
    log,
    clock: systemClock,
    version: '1.2.3',
    ...options,
  });
  cleanup(() => server.close());
  return { server, feed, output, log, path };
}

export async function startServer(
  handlers: Partial<Handlers> = {},
  options: Partial<RpcServerOptions> = {},
): Promise<TestServer> {
  const made = makeServer(handlers, options);
  await made.server.listen();
  return made;
}

/** A client without any cleverness: writes what it is told, and collects lines. */
export class RawClient {
  readonly socket: Socket;
  readonly lines: string[] = [];
  closed = false;
  #rest = '';
  #waiting: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      this.lines.push(...lines);
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    cleanup(() => socket.destroy());
  }

  static connect(path: string, options: { allowHalfOpen?: boolean } = {}): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path, ...options });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawClient(socket)));
    });
  }

  get messages(): Message[] {
    return this.lines.map((line) => JSON.parse(line));
  }

  write(...messages: unknown[]): void {
    this.socket.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
  }

  /** Sends one request and waits for a line more. */
  async ask(message: unknown): Promise<Message> {
    const before = this.lines.length;
    this.write(message);
    await this.until(() => this.lines.length > before);
    return JSON.parse(this.lines[before] ?? '');
  }

  async until(condition: () => boolean, ms = 15_000): Promise<void> {
    const deadline = setTimeout(() => {
      this.closed = true;
      this.#wake();
    }, ms);
    try {
      while (!condition()) {
        if (this.closed)
          throw new Error(`gave up waiting: ${String(condition)}; got ${this.lines.slice(-5).join('\n')}`);
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  async untilClosed(): Promise<void> {
    if (!this.closed) await new Promise((resolve) => this.socket.once('close', resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Polls for a condition of this process. */
export async function eventually(condition: () => boolean, ms = 10_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never came true: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const request = (id: unknown, method: string, params?: unknown): object => ({
  jsonrpc: '2.0',
  id,
  method,
  ...(params === undefined ? {} : { params }),
});
