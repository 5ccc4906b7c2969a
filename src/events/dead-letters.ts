import { readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../platform/atomic-file.js';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { makeFolder } from '../platform/make-folder.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { AiwgEvent, DeadLetter } from '../protocol/event.js';
import { DelayedWriter, type OnFault } from './delayed-writer.js';
import { isEvent } from './event-history.js';
import { recorded } from './event-size.js';
import { SubscriberGoneError } from './subscriber-queue.js';

/** Dead letters kept; beyond, the oldest go. */
const MAX_DEAD_LETTERS = 10_000;
/** JSON of all dead letters together, in bytes about: the file is written as a whole. */
const MAX_DEAD_BYTES = 16 * 1024 * 1024;
/** Characters of an error that are kept. */
const MAX_ERROR_LENGTH = 4096;

export interface DeadLettersOptions {
  /** Folder of `dead-letters.json`. */
  directory: string;
  clock: Clock;
  log: Log;
  newId: () => string;
  /** Delivers once to the subscriber of that name; rejects with SubscriberGoneError where there is none, else with its error. */
  redeliver: (subscriber: string, event: AiwgEvent) => Promise<void>;
  /** Told once when writing begins to fail (the letters stay in memory), and with null when it works again. */
  onFault?: OnFault;
}

interface Kept {
  letter: DeadLetter;
  bytes: number;
  /** False where the payload was too large to be kept: such a letter cannot be retried. */
  whole: boolean;
}

/**
 * The events that subscribers could not handle, kept until somebody retries or drops them. On disk at most a second
 * after each change, in a file that is replaced as a whole.
 */
export class DeadLetters {
  readonly #options: DeadLettersOptions;
  readonly #path: string;
  readonly #writer: DelayedWriter;
  readonly #letters = new Map<string, Kept>();
  readonly #retrying = new Set<string>();
  #bytes = 0;
  #pushedOut = 0;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
    this.#path = join(options.directory, 'dead-letters.json');
    this.#writer = new DelayedWriter({
      clock: options.clock,
      log: options.log,
      what: 'The file of dead letters',
      file: this.#path,
      write: () => this.#write(),
      onFault: options.onFault,
    });
    this.#load();
  }

  get size(): number {
    return this.#letters.size;
  }

  /** Keeps an event that `subscriber` failed to handle `attempts` times. Never throws. */
  add(dead: { event: AiwgEvent; subscriber: string; error: string; attempts: number }): DeadLetter {
    const { event, json, whole } = recorded(dead.event);
    const letter: DeadLetter = {
      id: this.#options.newId(),
      event,
      subscriber: dead.subscriber,
      error: dead.error.slice(0, MAX_ERROR_LENGTH),
      attempts: dead.attempts,
      at: this.#timestamp(),
    };
    this.#keep({ letter, bytes: json.length + letter.error.length, whole });
    this.#options.log.warn(
      { deadLetter: letter.id, subscriber: letter.subscriber, event: event.id, topic: event.type },
      `An event became a dead letter: ${letter.error}`,
    );
    this.#writer.touch();
    return letter;
  }

  /** Whether a letter of that subscriber for that event is kept. */
  has(subscriber: string, eventId: string): boolean {
    for (const { letter } of this.#letters.values()) {
      if (letter.subscriber === subscriber && letter.event.id === eventId) return true;
    }
    return false;
  }

  /** Oldest first. */
  list(): DeadLetter[] {
    return Array.from(this.#letters.values(), ({ letter }) => ({ ...letter }));
  }

  /**
   * Delivers the letter once more. True: handled, and the letter is gone. False: it failed again and stays, with one
   * more attempt and the new error. NOT_FOUND for an unknown id; CONFLICT where the subscriber is gone, the letter is
   * being retried already, or its payload was too large to be kept.
   */
  async retry(id: string): Promise<boolean> {
    const { letter, whole } = this.#get(id);
    if (!whole) {
      const reason = 'its payload was not kept (too large, or not JSON)';
      throw new AiwgdError(
        'CONFLICT',
        `The dead letter ${id} cannot be retried: ${reason}. Drop it instead.`,
      );
    }
    if (this.#retrying.has(id)) {
      throw new AiwgdError('CONFLICT', `The dead letter ${id} is being retried already.`);
    }
    this.#retrying.add(id);
    try {
      await this.#options.redeliver(letter.subscriber, letter.event);
      this.#remove(id);
      return true;
    } catch (error) {
      if (error instanceof SubscriberGoneError) throw error;
      letter.attempts += 1;
      letter.error = messageOf(error).slice(0, MAX_ERROR_LENGTH);
      letter.at = this.#timestamp();
      return false;
    } finally {
      this.#retrying.delete(id);
      this.#writer.touch();
    }
  }

  /** Forgets the letter; NOT_FOUND for an unknown id. */
  drop(id: string): void {
    this.#get(id);
    this.#remove(id);
    this.#writer.touch();
  }

  /** Writes what changed, for the last time. Never throws. */
  close(): void {
    this.#writer.close();
  }

  #write(): void {
    if (this.#pushedOut > 0) {
      this.#options.log.warn({ count: this.#pushedOut }, 'Too many dead letters: the oldest were dropped');
      this.#pushedOut = 0;
    }
    makeFolder(dirname(this.#path), 0o700);
    const letters = Array.from(this.#letters.values(), ({ letter, whole }) => ({ ...letter, whole }));
    writeFileAtomic(this.#path, JSON.stringify({ version: 1, letters }), { durable: true });
  }

  #timestamp(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }

  #get(id: string): Kept {
    const kept = this.#letters.get(id);
    if (kept === undefined) {
      throw new AiwgdError('NOT_FOUND', `There is no dead letter ${id}. See: aiwgd events dead list`);
    }
    return kept;
  }

  #keep(kept: Kept): void {
    this.#letters.set(kept.letter.id, kept);
    this.#bytes += kept.bytes;
    while (this.#letters.size > MAX_DEAD_LETTERS || this.#bytes > MAX_DEAD_BYTES) {
      const [oldest] = this.#letters.keys();
      if (oldest === undefined) return;
      this.#remove(oldest);
      this.#pushedOut += 1;
    }
  }

  #remove(id: string): void {
    this.#bytes -= this.#letters.get(id)?.bytes ?? 0;
    this.#letters.delete(id);
  }

  /** A file that cannot be used is kept aside: what is in it is somebody's work. */
  #load(): void {
    try {
      for (const kept of parseLetters(readFileSync(this.#path, 'utf8'))) this.#keep(kept);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#letters.clear();
      this.#bytes = 0;
      const time = new Date(this.#options.clock.now()).toISOString().replaceAll(':', '');
      const aside = `${this.#path}.damaged-${time}`;
      renameSync(this.#path, aside);
      this.#options.log.error(
        { err: error, file: aside },
        `The file of dead letters is damaged (${messageOf(error)}): it is kept aside as ${aside}`,
      );
    }
  }
}

function parseLetters(text: string): Kept[] {
  const { letters } = JSON.parse(text) as { letters?: unknown };
  if (!Array.isArray(letters)) throw new Error('it has no list of letters');
  return letters.map((item: Partial<DeadLetter> & { whole?: boolean }, index) => {
    const { id, event, subscriber, error, attempts, at, whole } = item ?? {};
    const texts = [id, subscriber, error, at];
    if (
      !texts.every((value) => typeof value === 'string') ||
      typeof attempts !== 'number' ||
      !isEvent(event)
    ) {
      throw new Error(`entry ${index} is not a dead letter`);
    }
    const letter = { id, event, subscriber, error, attempts, at } as DeadLetter;
    return { letter, bytes: JSON.stringify(letter).length, whole: whole !== false };
  });
}
