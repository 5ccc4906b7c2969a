import type { Readable, Writable } from 'node:stream';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type JSONRPCMessage, JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import { type Line, LineSplitter, NOT_UTF8, TOO_LONG } from '../../ipc/line-splitter.js';
import { AiwgdError, ERROR_CATALOGUE, type ErrorCode } from '../../protocol/errors.js';

/** Longest message of a client: far more than the longest prompt that a model writes. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/**
 * MCP's stdio transport with bounds, which the SDK's own lacks: a line has a limit and is told so, and while the client
 * does not read its answers nothing more is read from it.
 */
export class StdioTransport implements Transport {
  onmessage: Transport['onmessage'];
  onclose: (() => void) | undefined;
  onerror: ((error: Error) => void) | undefined;
  /** Resolves when the client has ended its side; rejects where the stream breaks, or a line is too long. */
  readonly ended: Promise<void>;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #splitter = new LineSplitter(MAX_MESSAGE_BYTES);
  #settle: { resolve: () => void; reject: (error: unknown) => void } = {
    resolve: () => {},
    reject: () => {},
  };

  constructor(input: Readable, output: Writable) {
    this.#input = input;
    this.#output = output;
    this.ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  /** The client has not yet taken what was written before. */
  get isClogged(): boolean {
    return this.#output.writableNeedDrain;
  }

  async start(): Promise<void> {
    this.#output.on('drain', () => this.#input.resume());
    this.#input.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#input.once('end', () => {
      this.#splitter.finish();
      this.#takeLines();
      this.#settle.resolve();
    });
    this.#input.once('error', (error) => this.#settle.reject(error));
  }

  /** Resolves at once: who may write more is decided by reading less. */
  async send(message: JSONRPCMessage): Promise<void> {
    this.#write(message);
  }

  async close(): Promise<void> {
    this.#input.destroy();
    this.onclose?.();
  }

  #read(chunk: Buffer): void {
    this.#splitter.push(chunk);
    this.#takeLines();
  }

  #takeLines(): void {
    for (let line = this.#splitter.next(); line !== undefined; line = this.#splitter.next()) this.#take(line);
  }

  #take(line: Line): void {
    if (line === TOO_LONG) {
      const text = `A message is longer than ${MAX_MESSAGE_BYTES / 1024 / 1024} MiB; the connection is closed.`;
      this.#refuse('LINE_TOO_LONG', text);
      this.#settle.reject(new AiwgdError('LINE_TOO_LONG', text));
      return;
    }
    let message: unknown;
    try {
      if (line !== NOT_UTF8) message = JSON.parse(line);
    } catch {
      // Answered below, as what is no UTF-8.
    }
    if (message === undefined) {
      this.#refuse('PARSE_ERROR', 'The line is not JSON, or not UTF-8.');
      return;
    }
    const checked = JSONRPCMessageSchema.safeParse(message);
    if (checked.success) this.onmessage?.(checked.data);
    else this.#refuse('INVALID_REQUEST', 'The line is not a JSON-RPC 2.0 message of MCP.');
  }

  /** Where the message's own id cannot be told. */
  #refuse(code: ErrorCode, message: string): void {
    this.onerror?.(new AiwgdError(code, message));
    this.#write({
      jsonrpc: '2.0',
      id: null,
      error: { code: ERROR_CATALOGUE[code].rpc, message, data: { code } },
    });
  }

  #write(message: object): void {
    if (!this.#output.write(`${JSON.stringify(message)}\n`)) this.#input.pause();
  }
}
