import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, sleep } from '../platform/clock.js';
import {
  AiwgdError,
  ERROR_CATALOGUE,
  type ErrorCode,
  errorCodeOfRpc,
  messageOf,
} from '../protocol/errors.js';
import type { NotificationTypes } from '../protocol/method-types.js';
import { LineSplitter, MAX_LINE_BYTES } from './line-splitter.js';

/** Opens one connection to the daemon. */
export type Dial = (signal?: AbortSignal) => Promise<Duplex>;

/** A notification of the daemon. */
export type Notification = {
  [N in keyof NotificationTypes]: { method: N; params: NotificationTypes[N] };
}[keyof NotificationTypes];

interface Message {
  id?: unknown;
  method?: unknown;
  params?: unknown;
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}

interface PendingCall {
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

/** A daemon that gets many clients at once has no room for another until it has accepted some. */
const CROWDED_TRIES = 100;
const CROWDED_WAIT_MS = 20;

export interface SocketPlace {
  address: string;
  /** Whose socket it is, for messages. */
  project: string;
}

/** Opens a socket; DAEMON_NOT_RUNNING where nobody listens. */
export async function dialSocket(place: SocketPlace, clock: Clock, signal?: AbortSignal): Promise<Duplex> {
  for (let tries = 1; ; tries++) {
    try {
      return await openSocket(place.address, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      const cause = error as NodeJS.ErrnoException;
      if (cause.code !== 'EAGAIN' || tries === CROWDED_TRIES) throw dialError(cause, place);
    }
    await sleep(clock, CROWDED_WAIT_MS, signal);
  }
}

function openSocket(address: string, signal?: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = connectSocket(address);
    const finish = (): void => {
      signal?.removeEventListener('abort', abort);
      socket.off('error', fail);
    };
    const fail = (error: NodeJS.ErrnoException): void => {
      finish();
      reject(error);
    };
    const abort = (): void => {
      finish();
      // An abort may overtake the outcome of connecting, which then interests nobody.
      socket.on('error', () => {});
      socket.destroy();
      reject(signal?.reason as Error);
    };
    socket.once('error', fail);
    socket.once('connect', () => {
      finish();
      resolve(socket);
    });
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** A reset before the connection stands: the daemon went with it in its queue. */
function dialError(cause: NodeJS.ErrnoException, { address, project }: SocketPlace): AiwgdError {
  if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'ENOTDIR'].includes(cause.code ?? '')) {
    const text = `No daemon is running for ${project}. Start it with: aiwgd start`;
    return new AiwgdError('DAEMON_NOT_RUNNING', text, { cause });
  }
  return new AiwgdError('CONNECTION_LOST', `Cannot connect to ${address}: ${cause.message}`, { cause });
}

/** One connection to the daemon, from the client's side: calls and their answers, and the daemon's notifications. */
export class Link {
  readonly #transport: Duplex;
  readonly #splitter = new LineSplitter();
  readonly #pending = new Map<number, PendingCall>();
  #lastId = 0;
  #out = '';
  /** Why the daemon is about to close the connection, where it said so. */
  #farewell: AiwgdError | undefined;
  #lost: AiwgdError | undefined;

  /** Called with each notification. */
  onNotification: ((notification: Notification) => void) | undefined;
  /** Called once when the connection has ended, however that came. */
  onLost: ((reason: AiwgdError) => void) | undefined;

  constructor(transport: Duplex) {
    this.#transport = transport;
    transport.on('data', (chunk: Buffer) => this.#read(chunk));
    transport.on('end', () => transport.destroy());
    transport.on('error', (error) => this.#lose(error));
    transport.on('close', () => this.#lose());
  }

  get isOpen(): boolean {
    return this.#lost === undefined;
  }

  /**
   * Calls a method. Rejects with the daemon's error; with CONNECTION_LOST when the connection ends first (then the
   * call may or may not have been carried out); with the signal's reason when that is aborted first.
   */
  call(method: string, params: unknown, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#lost !== undefined) throw this.#lost;
      this.#lastId += 1;
      const id = this.#lastId;
      this.#send(requestLine(id, method, params));
      if (signal === undefined) {
        this.#pending.set(id, { resolve, reject });
        return;
      }
      // The answer to an aborted call finds nobody waiting and is passed over.
      const abort = (): void => {
        this.#pending.delete(id);
        reject(signal.reason as Error);
      };
      const settle = (): void => signal.removeEventListener('abort', abort);
      signal.addEventListener('abort', abort, { once: true });
      this.#pending.set(id, {
        resolve: (result) => {
          settle();
          resolve(result);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
    });
  }

  /** Reads nothing until `resume`; the daemon then waits, or drops what it cannot keep. */
  pause(): void {
    this.#transport.pause();
  }

  resume(): void {
    this.#transport.resume();
  }

  /** Ends the connection; calls in flight reject with CONNECTION_LOST. */
  close(): void {
    this.#lose(new Error('it was closed on this side'));
  }

  #send(line: string): void {
    if (this.#out === '') process.nextTick(() => this.#flush());
    this.#out += line;
  }

  #flush(): void {
    const out = this.#out;
    this.#out = '';
    if (!this.#transport.destroyed) this.#transport.write(out);
  }

  #read(chunk: Buffer): void {
    this.#splitter.push(chunk);
    for (let line = this.#splitter.next(); line !== undefined; line = this.#splitter.next()) {
      let message: Message | undefined;
      try {
        if (typeof line === 'string') message = JSON.parse(line) as Message;
      } catch {
        // Reported below: what is no JSON did not come from a daemon.
      }
      if (typeof message !== 'object' || message === null) {
        this.#lose(new Error('the other side does not speak JSON-RPC'));
        return;
      }
      this.#take(message);
    }
  }

  #take(message: Message): void {
    if (typeof message.method === 'string') {
      this.onNotification?.(message as Notification);
    } else if (typeof message.id === 'number') {
      const call = this.#pending.get(message.id);
      if (call === undefined) return;
      this.#pending.delete(message.id);
      if (message.error === undefined) call.resolve(message.result);
      else call.reject(errorOf(message.error));
    } else if (message.error !== undefined) {
      this.#farewell = errorOf(message.error);
    }
  }

  #lose(cause?: Error): void {
    if (this.#lost !== undefined) return;
    const detail = cause === undefined ? '' : `: ${messageOf(cause)}`;
    const reason =
      this.#farewell ??
      new AiwgdError('CONNECTION_LOST', `The connection to the daemon ended${detail}`, { cause });
    this.#lost = reason;
    this.#transport.destroy();
    for (const call of this.#pending.values()) call.reject(reason);
    this.#pending.clear();
    this.onLost?.(reason);
  }
}

function requestLine(id: number, method: string, params: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(params) ?? '{}';
  } catch (cause) {
    const message = `The parameters of ${method} cannot be written as JSON: ${messageOf(cause)}`;
    throw new AiwgdError('INVALID_PARAMS', message, { cause });
  }
  const line = `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${text}}\n`;
  if (line.length > MAX_LINE_BYTES / 4 && Buffer.byteLength(line) > MAX_LINE_BYTES) {
    const limit = `${MAX_LINE_BYTES / 1024 / 1024} MiB`;
    throw new AiwgdError('LINE_TOO_LONG', `The parameters of ${method} are longer than ${limit}.`);
  }
  return line;
}

/** The daemon's error as it was thrown there: with the code of the catalogue, and its details as data. */
function errorOf({ code, message, data }: { code: number; message: string; data?: unknown }): AiwgdError {
  if (typeof data !== 'object' || data === null)
    return new AiwgdError(errorCodeOfRpc(code), message, { data });
  const { code: name, ...rest } = data as { code?: unknown; details?: unknown };
  const details = 'details' in rest ? rest.details : rest;
  return new AiwgdError(isErrorCode(name) ? name : errorCodeOfRpc(code), message, { data: details });
}

function isErrorCode(name: unknown): name is ErrorCode {
  return typeof name === 'string' && Object.hasOwn(ERROR_CATALOGUE, name);
}
