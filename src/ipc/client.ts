import { type Clock, systemClock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';
import type { MethodName, ParamsOf, ResultOf } from '../protocol/method-types.js';
import { findProject, projectPaths } from '../protocol/project-paths.js';
import type { Task } from '../protocol/task.js';
import { type CallOptions, type MethodTree, methodPrototype } from './client-types.js';
import { EventStream } from './event-stream.js';
import { type Dial, dialSocket, Link } from './link.js';
import { redial } from './redial.js';
import { socketAddress } from './running-daemon.js';
import type { OutputChunk } from './task-output.js';

export { AiwgdError, type ErrorCode } from '../protocol/errors.js';
export type { AiwgEvent } from '../protocol/event.js';
export type { MethodName, ParamsOf, ResultOf } from '../protocol/method-types.js';
export type { Task, TaskState } from '../protocol/task.js';
export type { CallOptions } from './client-types.js';
export type { EventStream } from './event-stream.js';
export type { OutputChunk } from './task-output.js';

export interface ConnectOptions {
  /** The project's folder; the nearest one with `.aiwg/` from the working directory upwards where not given. */
  project?: string;
  /** A socket's path, instead of a project. */
  socket?: string;
  /** Gives up connecting. */
  signal?: AbortSignal;
  /** Connect anew when the connection is lost; off where not given. Calls in flight reject in either case. */
  reconnect?: boolean;
  /** For tests: what time is, while waiting to reconnect. */
  clock?: Clock;
}

type ParamsArgument<M extends MethodName> =
  Record<string, never> extends ParamsOf<M>
    ? [params?: ParamsOf<M>, options?: CallOptions]
    : [params: ParamsOf<M>, options?: CallOptions];

export interface ClientOptions {
  dial: Dial;
  reconnect: boolean;
  clock: Clock;
}

class ClientCore implements AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #closed = new AbortController();
  readonly #streams = new Set<EventStream>();
  #link: Link;
  #redialling: Promise<Link> | undefined;

  constructor(link: Link, options: ClientOptions) {
    this.#link = link;
    this.#options = options;
  }

  /**
   * Calls a method by its name. Rejects with an AiwgdError: the daemon's own; CONNECTION_LOST when the connection
   * ends before the answer (the call may have been carried out). An aborted signal rejects with its reason.
   */
  call<M extends MethodName>(method: M, ...[params, options]: ParamsArgument<M>): Promise<ResultOf<M>> {
    return this.callAny(method, params, options) as Promise<ResultOf<M>>;
  }

  /** @internal */
  callAny(method: string, params: unknown = {}, { signal }: CallOptions = {}): Promise<unknown> {
    if (this.#link.isOpen || !this.#options.reconnect || this.#closed.signal.aborted) {
      return this.#link.call(method, params, signal);
    }
    return this.#callLater(method, params, signal);
  }

  /** Publishes an event. */
  emit(
    topic: string,
    payload: Record<string, unknown> = {},
    { cause, signal }: CallOptions & { cause?: string } = {},
  ): Promise<{ eventId: string }> {
    const params = { topic, payload, ...(cause === undefined ? {} : { cause }) };
    return this.call('event.emit', params, signal === undefined ? {} : { signal });
  }

  /**
   * Events whose topics match any of the globs, for `for await`. Collecting begins at once; await `ready` to be sure
   * that nothing is missed from there on. After a reconnection it subscribes again by itself.
   */
  events(topics: string[], { signal }: CallOptions = {}): EventStream {
    const stream = new EventStream({
      ...this.#options,
      topics,
      signal,
      onClose: (ended) => this.#streams.delete(ended),
    });
    if (this.#closed.signal.aborted) void stream.return();
    else if (stream.isOpen) this.#streams.add(stream);
    return stream;
  }

  /**
   * What a task writes, from `fromOffset` bytes into the stdout of its newest attempt, across later attempts, until
   * it has ended; returns the ended task. NOT_FOUND for an unknown task.
   */
  async *output(
    taskId: string,
    { fromOffset = 0, signal }: CallOptions & { fromOffset?: number } = {},
  ): AsyncGenerator<OutputChunk, Task, undefined> {
    const either =
      signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
    // Loaded when needed: most commands never follow a task, and each has to start quickly.
    const { taskOutput } = await import('./task-output.js');
    return yield* taskOutput({
      ...this.#options,
      taskId,
      fromOffset,
      signal: either,
      getTask: () => this.#callAgain('task.get', { taskId }, either),
      read: (params) => this.#callAgain('task.output', params, either),
    });
  }

  /** Ends the connection, every event stream and every call in flight. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new AiwgdError('CONNECTION_LOST', 'The client was closed.'));
    this.#link.close();
    for (const stream of this.#streams) void stream.return();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #callLater(method: string, params: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    this.#redialling ??= this.#redial();
    const link = await unlessAborted(this.#redialling, signal);
    return link.call(method, params, signal);
  }

  async #redial(): Promise<Link> {
    try {
      this.#link = await redial(this.#options.dial, this.#options.clock, this.#closed.signal);
      return this.#link;
    } finally {
      this.#redialling = undefined;
    }
  }

  /** For calls that only read: made again when the connection was lost, where it comes back. */
  async #callAgain<M extends 'task.get' | 'task.output'>(
    method: M,
    params: ParamsOf<M>,
    signal: AbortSignal,
  ): Promise<ResultOf<M>> {
    for (;;) {
      try {
        return (await this.callAny(method, params, { signal })) as ResultOf<M>;
      } catch (error) {
        const lost = error instanceof AiwgdError && error.code === 'CONNECTION_LOST';
        if (!lost || !this.#options.reconnect || signal.aborted) throw error;
      }
    }
  }
}

Object.setPrototypeOf(
  ClientCore.prototype,
  methodPrototype((client) => (client as ClientCore).callAny.bind(client)),
);

/**
 * The daemon, as an object: every RPC method is a function of it (`client.task.submit({prompt})`, `client.ping()`),
 * besides `call`, `events`, `output`, `emit` and `close`.
 */
export type Client = Omit<ClientCore, 'callAny'> & MethodTree;

/**
 * Connects to the daemon of a project. NO_PROJECT where there is no project here or above; DAEMON_NOT_RUNNING, with
 * the command that starts it, where nobody listens.
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const { clock = systemClock, reconnect = false } = options;
  return connectBy({ dial: dialOf(options, clock), clock, reconnect }, options.signal);
}

/** As `connect`, over any transport. */
export async function connectBy(options: ClientOptions, signal?: AbortSignal): Promise<Client> {
  const link = new Link(await options.dial(signal));
  return new ClientCore(link, options) as unknown as Client;
}

function dialOf({ project, socket }: ConnectOptions, clock: Clock): Dial {
  if (socket !== undefined) {
    const place = { address: socket, project: `the socket ${socket}` };
    return (signal) => dialSocket(place, clock, signal);
  }
  const root = project ?? findProject(process.cwd());
  if (root === undefined) {
    throw new AiwgdError(
      'NO_PROJECT',
      `There is no folder with .aiwg/ at ${process.cwd()} or above. Make this a project with: aiwgd start`,
    );
  }
  // Looked up each time: a daemon that was restarted may listen elsewhere.
  return async (signal) =>
    dialSocket({ address: socketAddress(projectPaths(root)), project: root }, clock, signal);
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
