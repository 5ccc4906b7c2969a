import { existsSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { MethodName, ParamsOf, ResultOf } from '../protocol/method-types.js';
import { METHODS } from '../protocol/methods.js';
import { type CallContext, Connection } from './connection.js';
import type { OutputFeed } from './output-pump.js';
import { type AnyHandler, errorLine, RpcDispatcher } from './rpc-dispatcher.js';
import { prepareSocket, removeSocket, type ServerSocket, writePointer } from './server-socket.js';
import { type EventFeed, Subscriptions } from './subscriptions.js';

/** Most clients at a time. */
export const MAX_CONNECTIONS = 4096;
/** How long answers in flight may take when the server closes. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Clients that may wait to be accepted; the kernel has a limit of its own. */
const BACKLOG = 4096;
/** Troubles in accepting come in floods: one line of log for each such time. */
const ACCEPT_LOG_INTERVAL_MS = 10_000;

/** Carries out one method; an `AiwgdError` becomes its error answer, anything else an internal error. */
export type Handler<M extends MethodName> = (
  params: ParamsOf<M>,
  context: CallContext,
) => Promise<ResultOf<M>> | ResultOf<M>;

/** What the server does itself. */
type OwnMethod = 'rpc.discover' | 'subscribe' | 'unsubscribe';

/** What the daemon brings: one function for every other method. */
export type Handlers = { [M in Exclude<MethodName, OwnMethod>]: Handler<M> };

export interface RpcServerOptions {
  /** The wanted path of the socket. */
  address: string;
  handlers: Handlers;
  events: EventFeed;
  output: OutputFeed;
  log: Log;
  clock: Clock;
  /** Of the program, for `rpc.discover`. */
  version: string;
}

interface Client {
  connection: Connection;
  subscriptions: Subscriptions;
}

/** The daemon's socket: accepts clients of the same user and answers their calls. */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #server: Server;
  readonly #dispatcher: RpcDispatcher<CallContext>;
  readonly #clients = new Map<Connection, Client>();
  #socket: ServerSocket | undefined;
  #document: Promise<Record<string, unknown>> | undefined;
  #closing: Promise<void> | undefined;
  #allGone: (() => void) | undefined;
  #restoring: Promise<void> | undefined;
  #acceptTroubleAt = Number.NEGATIVE_INFINITY;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#dispatcher = new RpcDispatcher<CallContext>({
      methods: METHODS,
      handlers: { ...(options.handlers as Record<string, AnyHandler<CallContext>>), ...this.#ownHandlers() },
      log: options.log,
    });
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server.on('error', (error) => this.#acceptTrouble(error));
  }

  /** The real socket's path; the wanted one before `listen`. */
  get address(): string {
    return this.#socket?.path ?? this.#options.address;
  }

  /**
   * Begins to accept clients. Only the same user gets in: the socket has mode 0600 in a folder of mode 0700.
   * ALREADY_RUNNING when somebody listens there; START_FAILED, with the reason, when the place cannot be used.
   */
  async listen(): Promise<void> {
    const socket = await prepareSocket(this.#options.address);
    if (this.#closing !== undefined) return;
    await this.#bind(socket.path);
    if (this.#closing !== undefined) return;
    this.#socket = socket;
    writePointer(socket);
  }

  /**
   * Listens again where somebody removed the socket's file: nobody could come in any more. Clients that are connected
   * stay. Throws as `listen` does.
   */
  restore(): Promise<void> {
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  /** Serves one client over any stream, as if it had come by the socket. */
  serve(transport: Duplex): void {
    const { clock, log, events, output } = this.#options;
    const connection = new Connection(transport, {
      dispatch: (line, context) => this.#dispatcher.dispatch(line, context),
      log,
      clock,
      onFinish: () => subscriptions.close(),
      onClose: () => this.#forget(connection),
    });
    const subscriptions = new Subscriptions({ connection, events, output, log });
    this.#clients.set(connection, { connection, subscriptions });
  }

  stats(): { clients: number; subscriptions: number } {
    let subscriptions = 0;
    for (const client of this.#clients.values()) subscriptions += client.subscriptions.size;
    return { clients: this.#clients.size, subscriptions };
  }

  /** Accepts nobody any more, lets answers in flight go out (for at most two seconds), closes and removes the socket. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #restore(): Promise<void> {
    if (this.#socket === undefined || this.#closing !== undefined) return;
    const { path, pointer } = this.#socket;
    if (existsSync(path) && (pointer === undefined || existsSync(pointer))) return;
    this.#options.log.warn({ socket: path }, 'The socket was removed; it is made again');
    // Listening or not: after a try that failed it is not.
    this.#server.close();
    await this.listen();
  }

  async #close(): Promise<void> {
    this.#server.close();
    const gone = new Promise<void>((resolve) => {
      this.#allGone = resolve;
    });
    const limit = this.#options.clock.setTimer(CLOSE_TIMEOUT_MS, () => {
      for (const connection of this.#clients.keys()) connection.destroy();
    });
    for (const connection of this.#clients.keys()) connection.shutdown();
    if (this.#clients.size > 0) await gone;
    limit.cancel();
    if (this.#socket !== undefined) removeSocket(this.#socket);
  }

  #forget(connection: Connection): void {
    this.#clients.delete(connection);
    if (this.#clients.size === 0) this.#allGone?.();
  }

  #bind(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        reject(
          new AiwgdError('START_FAILED', `Cannot listen at ${path}: ${messageOf(error)}`, { cause: error }),
        );
      };
      this.#server.once('error', failed);
      this.#server.once('listening', () => {
        this.#server.off('error', failed);
        resolve();
      });
      // Binding happens within the call, so nobody else sees the mask, and the socket is never open to others.
      const mask = process.umask(0o177);
      try {
        this.#server.listen({ path, backlog: BACKLOG });
      } finally {
        process.umask(mask);
      }
    });
  }

  #accept(socket: Socket): void {
    if (this.#clients.size < MAX_CONNECTIONS && this.#closing === undefined) {
      this.serve(socket);
      return;
    }
    socket.on('error', () => {
      // The one turned away has gone already; there is nobody left to tell.
    });
    const message = `The daemon has ${MAX_CONNECTIONS} clients already. Close some and try again.`;
    socket.end(`${errorLine('OVERLOADED', message)}\n`, () => socket.destroy());
  }

  #acceptTrouble(error: Error): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#acceptTroubleAt < ACCEPT_LOG_INTERVAL_MS) return;
    this.#acceptTroubleAt = now;
    this.#options.log.warn({ reason: error.message }, 'A client could not be accepted');
  }

  #ownHandlers(): Record<OwnMethod, AnyHandler<CallContext>> {
    const own: { [M in OwnMethod]: Handler<M> } = {
      'rpc.discover': () => (this.#document ??= discover(this.#options.version)),
      subscribe: (params, context) => this.#subscriptionsOf(context).subscribe(params, context),
      unsubscribe: ({ subscription }, context) => this.#subscriptionsOf(context).unsubscribe(subscription),
    };
    return own;
  }

  #subscriptionsOf({ connection }: CallContext): Subscriptions {
    const client = this.#clients.get(connection);
    if (client === undefined) throw new AiwgdError('CONNECTION_LOST', 'The connection has ended.');
    return client.subscriptions;
  }
}

/** The description of the interface; what makes it is loaded by the first who asks. */
async function discover(version: string): Promise<Record<string, unknown>> {
  const { openRpcDocument } = await import('./openrpc.js');
  return openRpcDocument(version);
}
