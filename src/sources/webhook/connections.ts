import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../platform/clock.js';

/** Connections at once; one more takes the place of the one that has been idle for longest. */
const MAX_CONNECTIONS = 100;
/** From connecting, or from the last answer, to the end of the next request's headers. */
const IDLE_MS = 5_000;

interface Connection {
  /** Answers that have not gone out, in the order of their requests. */
  inFlight: Set<ServerResponse>;
  /** It takes no further request. */
  ending: boolean;
  idle: Timer | undefined;
}

/** Who is connected: bounded in number, and in the time for which anybody may be connected without a request. */
export class Connections {
  readonly #clock: Clock;
  readonly #open = new Map<Socket, Connection>();
  #ending = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#open.size;
  }

  add(socket: Socket): void {
    if (this.#open.size >= MAX_CONNECTIONS && !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    this.#open.set(socket, { inFlight: new Set(), ending: this.#ending, idle: undefined });
    // The reason of its end is of no use to anybody; `close` follows.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#open.get(socket)?.idle?.cancel();
      this.#open.delete(socket);
    });
    this.#watchIdle(socket);
  }

  began(socket: Socket, response: ServerResponse): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    connection.inFlight.add(response);
    connection.idle?.cancel();
  }

  answered(socket: Socket, response: ServerResponse): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    connection.inFlight.delete(response);
    if (connection.inFlight.size > 0) return;
    if (connection.ending) socket.destroySoon();
    else this.#watchIdle(socket);
  }

  /**
   * What to do with a connection of which nothing more can be understood: `answer` that at once, `wait` for the answers to
   * what was complete before (it ends by itself then), or `cut` it, in the middle of what will never be complete.
   */
  broken(socket: Socket): 'answer' | 'wait' | 'cut' {
    const connection = this.#open.get(socket);
    const responses = [...(connection?.inFlight ?? [])];
    const last = responses.at(-1);
    if (connection === undefined || last === undefined) return 'answer';
    if (!last.req.complete) return responses.length === 1 && !last.headersSent ? 'answer' : 'cut';
    connection.ending = true;
    return 'wait';
  }

  /** Ends idle connections now, the others after their answer. */
  end(): void {
    this.#ending = true;
    for (const [socket, connection] of this.#open) {
      connection.ending = true;
      if (connection.inFlight.size === 0) socket.destroy();
    }
  }

  destroy(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #makeRoom(): boolean {
    for (const [socket, { inFlight, idle }] of this.#open) {
      if (inFlight.size > 0) continue;
      idle?.cancel();
      this.#open.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  /** Also puts it behind all others, for those that have waited longest go first. */
  #watchIdle(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) return;
    this.#open.delete(socket);
    this.#open.set(socket, connection);
    connection.idle?.cancel();
    connection.idle = this.#clock.setTimer(IDLE_MS, () => socket.destroy());
  }
}
