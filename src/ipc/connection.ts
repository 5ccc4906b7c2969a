import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../platform/clock.js';
import { libc } from '../platform/libc.js';
import type { Log } from '../platform/log.js';
import { LineSplitter, MAX_LINE_BYTES, NOT_UTF8, TOO_LONG } from './line-splitter.js';
import { errorLine, type Reply } from './rpc-dispatcher.js';

/** Requests of one connection that run at the same time; the next ones stay unread. */
export const MAX_IN_FLIGHT = 256;
/** With more than this waiting for the peer to read, no further request of it is read (characters, about bytes). */
const HIGH_WATER = 1024 * 1024;
/** Where whoever streams should wait for the peer. */
const STREAM_HIGH_WATER = 256 * 1024;
/** Answers of one turn of the event loop go out together, in pieces of about this size. */
const FLUSH_AT = 64 * 1024;
/** How long a peer that sent too long a line may go on sending, so that it comes to read why it is cut off. */
const LINGER_MS = 2_000;

/** What a handler knows of its call beyond the parameters. */
export class CallContext {
  readonly connection: Connection;
  #callbacks: (() => void)[] | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Calls back once the answer is on its way: what is sent from then on arrives after it. */
  afterReply(callback: () => void): void {
    (this.#callbacks ??= []).push(callback);
  }

  /** @internal The connection has queued the answer. */
  replied(): void {
    for (const callback of this.#callbacks ?? []) callback();
  }
}

export interface ConnectionOptions {
  /** Must neither throw nor reject. */
  dispatch: (line: string, context: CallContext) => Reply | Promise<Reply>;
  log: Log;
  clock: Clock;
  /** Nothing can be sent any more; once. */
  onFinish: () => void;
  /** The transport is gone; once. */
  onClose: () => void;
}

/**
 * The server's side of one client: requests are begun in the order in which they came, several run at once, answers go
 * out as they are ready. It reads only as fast as the peer does, so that no peer can make it hold much.
 */
export class Connection {
  readonly #transport: Duplex;
  readonly #options: ConnectionOptions;
  readonly #splitter = new LineSplitter();
  #out = '';
  #flushPlanned = false;
  #pumping = false;
  #paused = false;
  #inFlight = 0;
  /** Whether the peer has said all that we will listen to. */
  #inputEnded = false;
  #discarding = false;
  #finished = false;
  #linger: Timer | undefined;
  #waitingForDrain: (() => void)[] = [];

  /** Takes over the transport: a socket, or one end of an in-memory pair. Its stream must allow half-open use. */
  constructor(transport: Duplex, options: ConnectionOptions) {
    this.#transport = transport;
    this.#options = options;
    transport.on('data', (chunk: Buffer) => this.#read(chunk));
    transport.on('end', () => {
      this.#splitter.finish();
      this.#inputEnded = true;
      this.#pump();
    });
    transport.on('drain', () => {
      this.#wakeStreams();
      this.#pump();
    });
    transport.on('error', (error) => {
      options.log.debug({ reason: error.message }, 'A connection broke');
    });
    transport.on('close', () => this.#closed());
  }

  /** Whether something sent now would still go out. */
  get isOpen(): boolean {
    return !this.#finished && !this.#transport.destroyed;
  }

  /**
   * The process that made the connection, as the kernel knows it, and its user. Undefined where the kernel does not say
   * (not Linux, no socket) and when the connection has ended.
   */
  get peer(): { pid: number; uid: number } | undefined {
    // Node has no public way to a socket's descriptor.
    const { _handle: handle } = this.#transport as { _handle?: { fd?: number } | null };
    if (process.platform !== 'linux' || handle?.fd === undefined || handle.fd < 0) return undefined;
    return libc().peerOf(handle.fd);
  }

  /** Whether so much waits for the peer to read that a stream should wait too. */
  get isBehind(): boolean {
    return this.#backlog > STREAM_HIGH_WATER;
  }

  /** In characters, about bytes. */
  get #backlog(): number {
    return this.#out.length + this.#transport.writableLength;
  }

  /** Queues lines, each with its newline; they go out at the end of this turn of the event loop. */
  send(lines: string): void {
    if (!this.isOpen) return;
    this.#out += lines;
    if (this.#out.length >= FLUSH_AT) {
      this.#flush();
    } else if (!this.#flushPlanned && !this.#pumping) {
      this.#flushPlanned = true;
      process.nextTick(() => {
        this.#flushPlanned = false;
        this.#flush();
      });
    }
  }

  /** Resolves when the peer has read enough for a stream to go on; also when the connection ends. */
  drained(): Promise<void> {
    this.#flush();
    if (!this.isOpen || !this.isBehind) return Promise.resolve();
    return new Promise((resolve) => this.#waitingForDrain.push(resolve));
  }

  /** Reads no more requests, answers those in flight, then closes. */
  shutdown(): void {
    this.#inputEnded = true;
    this.#discarding = true;
    this.#transport.on('finish', () => this.#transport.destroy());
    this.#pump();
  }

  /** Closes at once; what was not yet sent is lost. */
  destroy(): void {
    this.#transport.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#discarding) return;
    this.#splitter.push(chunk);
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping || this.#finished) return;
    this.#pumping = true;
    const blocked = this.#takeLines();
    this.#pumping = false;
    this.#flush();
    const pause = blocked && !this.#discarding;
    if (pause !== this.#paused) {
      this.#paused = pause;
      if (pause) this.#transport.pause();
      else this.#transport.resume();
    }
    if (this.#inputEnded && this.#inFlight === 0 && !pause) this.#finish();
  }

  /** Begins the requests that have come; true when it had to stop before the last one. */
  #takeLines(): boolean {
    while (!this.#discarding) {
      if (this.#isBlocked()) {
        this.#flush();
        if (this.#isBlocked()) return true;
      }
      const line = this.#splitter.next();
      if (line === undefined) return false;
      if (typeof line === 'string') this.#begin(line);
      else if (line === NOT_UTF8) this.send(`${errorLine('PARSE_ERROR', 'The line is not UTF-8.')}\n`);
      else if (line === TOO_LONG) this.#cutOff();
    }
    return false;
  }

  #isBlocked(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT || this.#backlog > HIGH_WATER;
  }

  #begin(line: string): void {
    const context = new CallContext(this);
    const reply = this.#options.dispatch(line, context);
    if (!(reply instanceof Promise)) {
      this.#answer(reply, context);
      return;
    }
    void this.#answerLater(reply, context);
  }

  async #answerLater(reply: Promise<Reply>, context: CallContext): Promise<void> {
    this.#inFlight += 1;
    const text = await reply;
    this.#inFlight -= 1;
    this.#answer(text, context);
    this.#pump();
  }

  #answer(reply: Reply, context: CallContext): void {
    if (reply !== undefined) this.send(`${reply}\n`);
    context.replied();
  }

  /** The peer gets the reason, and some time to come to read it, because until then it may still be sending. */
  #cutOff(): void {
    const limit = `${MAX_LINE_BYTES / 1024 / 1024} MiB`;
    const message = `A line is longer than ${limit}: the connection is closed.`;
    this.send(`${errorLine('LINE_TOO_LONG', message)}\n`);
    this.#inputEnded = true;
    this.#discarding = true;
    this.#linger = this.#options.clock.setTimer(LINGER_MS, () => this.#transport.destroy());
  }

  #flush(): void {
    if (this.#out === '' || this.#transport.destroyed || this.#transport.writableEnded) return;
    const out = this.#out;
    this.#out = '';
    this.#transport.write(out);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#flush();
    this.#finished = true;
    this.#transport.end();
    this.#wakeStreams();
    this.#options.onFinish();
  }

  #closed(): void {
    this.#linger?.cancel();
    this.#out = '';
    this.#inputEnded = true;
    this.#discarding = true;
    this.#finish();
    this.#options.onClose();
  }

  #wakeStreams(): void {
    const waiting = this.#waitingForDrain;
    this.#waitingForDrain = [];
    for (const resolve of waiting) resolve();
  }
}
