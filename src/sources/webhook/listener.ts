import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, sleep } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import { type Answer, sendAnswer } from './answer.js';
import { Connections } from './connections.js';
import { hostAndPort } from './loopback.js';
import { SenderGone } from './refusal.js';

/** How long what is in flight may take to end when the listener closes. */
const CLOSE_MS = 2_000;
/** Node's own limits, behind those of `Connections` and of the reading of bodies. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 16 * 1024,
};
const MAX_REQUESTS_PER_CONNECTION = 1_000;
const MAX_HEADERS = 100;

export interface ListenerOptions {
  host: string;
  /** 0: any that is free. */
  port: number;
  clock: Clock;
  log: Log;
  /** Decides on a request; throws a `SenderGone` where nobody is left to answer. */
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<Answer>;
  /** The listener has broken after it began. */
  onError: (error: Error) => void;
}

/** One HTTP server: connections, and the way of requests and answers through them. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #connections: Connections;
  #closing = false;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#connections = new Connections(options.clock);
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#serve(request, response);
    };
    this.#server = createServer(LIMITS, onRequest);
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    this.#server.maxHeadersCount = MAX_HEADERS;
    this.#server.on('checkContinue', onRequest);
    this.#server.on('connection', (socket: Socket) => this.#connections.add(socket));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
      this.#refuseGarbage(error, socket as Socket),
    );
  }

  /** Throws START_FAILED naming host, port and remedy. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const { host, port } = options;
    const listener = new Listener(options);
    const server = listener.#server;
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => reject(listenError(error, host, port));
      server.once('error', onError);
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', onError);
        resolve();
      });
    });
    server.on('error', options.onError);
    return listener;
  }

  /** Where it listens in fact. */
  get address(): AddressInfo {
    return this.#server.address() as AddressInfo;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Takes no further request; those in flight are finished, unless they need more than two seconds. */
  async close(): Promise<void> {
    if (this.#closing) return;
    const { clock } = this.#options;
    this.#closing = true;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#connections.end();
    const patience = new AbortController();
    await Promise.race([closed, sleep(clock, CLOSE_MS, patience.signal)]);
    patience.abort();
    this.#connections.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, log, handle } = this.#options;
    const { socket } = request;
    this.#connections.began(socket, response);
    response.once('close', () => this.#connections.answered(socket, response));
    let answer: Answer;
    try {
      answer = await handle(request, response);
    } catch (error) {
      if (error instanceof SenderGone) {
        response.destroy();
        return;
      }
      log.error({ err: error }, 'A webhook request could not be answered');
      answer = { status: 500, body: { error: 'The request could not be answered' } };
    }
    sendAnswer(request, response, answer, { clock, close: this.#closing });
  }

  /** What is not HTTP, too large or too slow. */
  #refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
    const next = error.code === 'ECONNRESET' || !socket.writable ? 'cut' : this.#connections.broken(socket);
    if (next === 'wait') return;
    if (next === 'cut') {
      socket.destroy();
      return;
    }
    const status = statusOf(error.code);
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      () => socket.destroy(),
    );
  }
}

function statusOf(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

function listenError(cause: Error, host: string, port: number): AiwgdError {
  const where = `The webhook receiver cannot listen on ${hostAndPort(host, port)}`;
  const reason = reasonOf(cause);
  return new AiwgdError('START_FAILED', `${where}: ${reason}`, { cause, data: { host, port } });
}

function reasonOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'another program listens there. Set webhook.port to a free port, or end that program.';
    case 'EACCES':
      return 'the system does not allow it. Set webhook.port to one above 1023.';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address. Set webhook.host to "127.0.0.1", or to an address that it has.';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no host of that name. Set webhook.host to an address, such as "127.0.0.1".';
    case undefined:
    default:
      return `${messageOf(error)}. Set webhook.host and webhook.port to where this machine can listen.`;
  }
}
