import { fromErrorMessage } from '../../database/storage-error.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { Operation, OperationResult } from './messages.js';

/** Operations in one transaction, at most. */
const BATCH_OPERATIONS = 512;
/** Characters of prompts and results in one transaction; one operation alone may exceed it. */
const BATCH_CHARACTERS = 8 * 1024 * 1024;
/** What may wait for the disk in all. */
const WAITING_OPERATIONS = 100_000;
const WAITING_CHARACTERS = 256 * 1024 * 1024;

interface Waiting {
  operation: Operation;
  characters: number;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

/**
 * Shares disk flushes: one batch is under way at a time, and whatever is handed in meanwhile makes up the next one.
 * A batch leaves at the end of the present turn of the event loop, so that all requests of one socket read share it
 * while a lone one waits for nothing.
 */
export class GroupCommit {
  /** Answers at least the first operation; may leave the last ones undone. */
  readonly #send: (batch: Operation[]) => Promise<OperationResult[]>;
  /** From `#next` on; the part before it is done, and is cut off when the queue runs empty. */
  #queue: Waiting[] = [];
  #next = 0;
  #characters = 0;
  #running: Promise<void> | undefined;

  constructor(send: (batch: Operation[]) => Promise<OperationResult[]>) {
    this.#send = send;
  }

  /** Resolves when the operation is on disk. `characters` is the length of its texts, for the bounds. */
  run(operation: Operation, characters: number): Promise<unknown> {
    const waiting = this.#queue.length - this.#next;
    if (
      waiting >= WAITING_OPERATIONS ||
      (waiting > 0 && this.#characters + characters > WAITING_CHARACTERS)
    ) {
      return Promise.reject(
        new AiwgdError('OVERLOADED', `${waiting} operations wait for the disk already; try again later.`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ operation, characters, resolve, reject });
      this.#characters += characters;
      this.#running ??= this.#flush();
    });
  }

  /** Resolves when nothing waits any more. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #flush(): Promise<void> {
    await endOfTurn();
    while (this.#queue.length > 0) {
      await this.#settle(this.#takeBatch());
      // What was just answered may be asking again: that belongs to the next batch, too.
      await endOfTurn();
    }
    this.#running = undefined;
  }

  async #settle(batch: Waiting[]): Promise<void> {
    try {
      const results = await this.#send(batch.map(({ operation }) => operation));
      this.#putBack(batch.slice(results.length));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index];
        if (result === undefined) break;
        if ('error' in result) reject(fromErrorMessage(result.error));
        else resolve(result.value);
      }
    } catch (error) {
      // The thread is gone, or could not be started: nothing that waits can be stored now.
      for (const { reject } of [...batch, ...this.#takeAll()]) reject(error);
    }
  }

  #takeBatch(): Waiting[] {
    let end = this.#next;
    let characters = 0;
    for (; end < this.#queue.length && end - this.#next < BATCH_OPERATIONS; end += 1) {
      characters += this.#queue[end]?.characters ?? 0;
      if (end > this.#next && characters > BATCH_CHARACTERS) break;
    }
    return this.#take(end);
  }

  /** What a batch had no room to answer comes first in the next one. */
  #putBack(unanswered: Waiting[]): void {
    if (unanswered.length === 0) return;
    this.#queue = [...unanswered, ...this.#queue.slice(this.#next)];
    this.#next = 0;
    for (const { characters } of unanswered) this.#characters += characters;
  }

  #takeAll(): Waiting[] {
    return this.#take(this.#queue.length);
  }

  #take(end: number): Waiting[] {
    const taken = this.#queue.slice(this.#next, end);
    for (const { characters } of taken) this.#characters -= characters;
    this.#next = end;
    // Cutting off only every so often keeps a long queue from being moved for each batch.
    if (this.#next === this.#queue.length || this.#next > 8 * BATCH_OPERATIONS) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    return taken;
  }
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
