import type { Log } from '../platform/log.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { OutputSlice, OutputStream } from '../protocol/method-types.js';
import type { Connection } from './connection.js';

/** Bytes that are read and sent at a time. */
export const SLICE_BYTES = 64 * 1024;

const STREAMS = ['stdout', 'stderr'] as const;

/** Where the output of tasks is read from. */
export interface OutputFeed {
  /** A piece of a stream, cut at a whole character. NOT_FOUND where the attempt has left no such file (yet). */
  read(params: {
    taskId: string;
    attempt: number;
    stream: OutputStream;
    offset: number;
    limit: number;
  }): Promise<OutputSlice>;
  /** The newest attempt, 0 before the first; undefined for an unknown task. */
  attempt(taskId: string): Promise<{ attempt: number; ended: boolean } | undefined>;
}

export interface OutputPumpOptions {
  subscription: string;
  taskId: string;
  /** The attempt to begin with. */
  attempt: number;
  /** Of its stdout, in bytes. */
  fromOffset: number;
  connection: Connection;
  output: OutputFeed;
  log: Log;
  /** Events that are held back until the output before them is out. */
  held: {
    count(): number;
    /** Sends the first `count` of them; with `keepFinal` only those before the first that ends the task. */
    release(count: number, keepFinal: boolean): void;
  };
  /** The output cannot be read. */
  onFailure: (reason: string) => void;
}

/**
 * Sends what a task writes, from a given offset and across its attempts, as fast as the peer reads and no faster:
 * one slice is in memory at a time. It sleeps until `wake` says that there may be more.
 */
export class OutputPump {
  readonly #options: OutputPumpOptions;
  #attempt: number;
  #offsets: Record<OutputStream, number>;
  #woken = false;
  #wakeUp: (() => void) | undefined;
  #closed = false;

  constructor(options: OutputPumpOptions) {
    this.#options = options;
    this.#attempt = options.attempt;
    this.#offsets = { stdout: options.fromOffset, stderr: 0 };
  }

  /** Begins to send; once. */
  start(): void {
    this.#run().catch((error: unknown) => {
      if (this.#closed) return;
      this.#options.log.warn({ err: error, taskId: this.#options.taskId }, 'Output could not be streamed');
      this.#options.onFailure(`the output cannot be read: ${messageOf(error)}`);
    });
  }

  /** Something happened to the task: look again. */
  wake(): void {
    this.#woken = true;
    this.#wakeUp?.();
  }

  close(): void {
    this.#closed = true;
    this.wake();
  }

  async #run(): Promise<void> {
    const { output, taskId, held } = this.#options;
    while (!this.#closed) {
      this.#woken = false;
      // Both are asked before reading: what was written before an event, or before a newer attempt, is then read.
      const holding = held.count();
      const newest = (await output.attempt(taskId))?.attempt ?? this.#attempt;
      await this.#sendAll();
      if (this.#closed) return;
      if (newest > this.#attempt) {
        held.release(holding, true);
        this.#attempt += 1;
        this.#offsets = { stdout: 0, stderr: 0 };
      } else {
        held.release(holding, false);
        await this.#sleep();
      }
    }
  }

  async #sendAll(): Promise<void> {
    let progress = true;
    while (progress && !this.#closed) {
      progress = false;
      for (const stream of STREAMS) progress = (await this.#sendSlice(stream)) || progress;
    }
  }

  async #sendSlice(stream: OutputStream): Promise<boolean> {
    const { connection, output, subscription, taskId } = this.#options;
    await connection.drained();
    if (this.#closed) return false;
    const attempt = this.#attempt;
    const offset = this.#offsets[stream];
    let slice: OutputSlice;
    try {
      slice = await output.read({ taskId, attempt, stream, offset, limit: SLICE_BYTES });
    } catch (error) {
      // An attempt that has not begun, or whose files were cleaned up, has nothing to send.
      if (error instanceof AiwgdError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
    if (this.#closed || slice.nextOffset <= offset) return false;
    this.#offsets[stream] = slice.nextOffset;
    const params = { subscription, taskId, attempt, stream, offset, data: slice.data };
    connection.send(`{"jsonrpc":"2.0","method":"output","params":${JSON.stringify(params)}}\n`);
    return true;
  }

  async #sleep(): Promise<void> {
    if (this.#woken || this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
    });
    this.#wakeUp = undefined;
  }
}
