import { Worker } from 'node:worker_threads';
import { keepDatabaseAside } from '../../database/keep-aside.js';
import { type ErrorMessage, fromErrorMessage, toErrorMessage } from '../../database/storage-error.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { FromWorker, Operation, OperationResult, ToWorker, WorkerOptions } from './messages.js';

/** Young generation of the thread's heap: it only turns rows into messages, and the default costs 10 MB resident. */
const YOUNG_GENERATION_MB = 2;

/** One worker thread with a database. Whatever was asked of it is answered, or rejected when the thread ends. */
export class StoreThread {
  readonly #worker: Worker;
  readonly #path: string;
  /** Resolves when the thread has ended, by `close` or by itself. */
  readonly ended: Promise<void>;
  #pending: PromiseWithReject<FromWorker> | undefined;
  #fault: unknown;
  #hasEnded = false;
  /** Where a damaged database was moved to; null when the one at the path was sound or new. */
  damaged: string | null = null;
  /** The number of the newest task that the database has ever held; null where it never held one. */
  newest: number | null = null;

  private constructor(options: WorkerOptions) {
    this.#path = options.path;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: options,
      // Flags of the main program (a test runner's loaders, an inspector) are not for this thread.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker.on('message', (message: FromWorker) => this.#take()?.resolve(message));
    this.#worker.on('error', (error) => {
      this.#fault = error;
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#hasEnded = true;
        this.#take()?.reject(this.#endError(code));
        resolve();
      });
    });
  }

  /**
   * Starts a thread that loads its program and opens the database if there is one, so that this time runs beside other
   * work; it makes no file yet. It is for `start`; where it does not come to that, `close` ends it.
   */
  static prepare(path: string): StoreThread {
    return new StoreThread({ path });
  }

  /**
   * Opens the database, in a thread that was prepared for this path or in a new one. A damaged database is moved aside
   * (named with `time`, in milliseconds since 1970; `damaged` says where to) and a new one made. Throws STORAGE_FAILED
   * or STORAGE_FULL.
   */
  static async start(
    path: string,
    time: number,
    first: StoreThread = StoreThread.prepare(path),
  ): Promise<StoreThread> {
    const fault = await first.#opened();
    if (fault === undefined) return first;
    if (!fault.damaged) throw fromErrorMessage(fault.error);
    const damaged = keepDatabaseAside(path, time);
    const second = new StoreThread({ path });
    const again = await second.#opened();
    if (again !== undefined) throw fromErrorMessage(again.error);
    second.damaged = damaged;
    return second;
  }

  /**
   * Opens the database; where it can't be opened, answers why, when the thread has ended. Only then is the database
   * truly closed: statements that were prepared keep it open, and SQLite removes a -wal by its name.
   */
  async #opened(): Promise<{ damaged: boolean; error: ErrorMessage } | undefined> {
    if (this.#hasEnded) return { damaged: false, error: toErrorMessage(this.#endError(0)) };
    const answer = this.#answer();
    this.#send({ type: 'open' });
    const message = await answer;
    if (message.type === 'ready') {
      this.newest = message.newest;
      return undefined;
    }
    await this.#worker.terminate();
    return message.type === 'failed' ? message : { damaged: false, error: toErrorMessage(this.#endError(0)) };
  }

  /**
   * Carries out one batch; the next one may follow when this one is answered. `rescued`: the database had been removed
   * and was written anew; nothing of the batch was done, and the thread has ended.
   */
  async run(batch: readonly Operation[]): Promise<OperationResult[] | 'rescued'> {
    if (this.#hasEnded) throw this.#endError(0);
    const answer = this.#answer();
    this.#send({ type: 'batch', batch });
    const message = await answer;
    if (message.type === 'rescued') {
      await this.ended;
      return 'rescued';
    }
    if (message.type !== 'results') throw this.#endError(0);
    return message.results;
  }

  /** Writes the WAL back, closes the database and ends the thread. */
  async close(): Promise<void> {
    if (!this.#hasEnded) this.#send({ type: 'close' });
    await this.ended;
  }

  #send(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(message);
  }

  #answer(): Promise<FromWorker> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
    });
  }

  #take(): PromiseWithReject<FromWorker> | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }

  #endError(code: number): AiwgdError {
    const reason = this.#fault === undefined ? `exit code ${code}` : messageOf(this.#fault);
    return new AiwgdError(
      'STORAGE_FAILED',
      `The thread of the task store ${this.#path} ended unexpectedly (${reason}). What it was asked last may or may ` +
        'not have been stored: look before you try again.',
      { cause: this.#fault, data: { reason } },
    );
  }
}

interface PromiseWithReject<T> {
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
}
