import { isStorageFault } from '../database/storage-error.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { AiwgEvent } from '../protocol/event.js';

const RETRY_MS = 1_000;
/** Events that wait while the disk takes nothing; beyond, the oldest go, and the log says so. */
const MOST = 10_000;
/** What they may take together, in UTF-16 units of JSON. */
const MOST_SIZE = 64 * 1024 * 1024;
const LOST = 'Events were lost to the rules because the disk took nothing';

export interface MissedEventsOptions {
  clock: Clock;
  log: Log;
  /** Takes an event in; throws where nothing can be written. */
  take: (event: AiwgEvent) => void;
}

/** Events that came while the disk took nothing: they are taken in later, in the order in which they came. */
export class MissedEvents {
  readonly #options: MissedEventsOptions;
  #events: AiwgEvent[] = [];
  /** Of each of them, and of all. */
  #sizes: number[] = [];
  #size = 0;
  #dropped = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: MissedEventsOptions) {
    this.#options = options;
  }

  /** Takes the event in now, or behind those that wait. Never throws. */
  take(event: AiwgEvent): void {
    if (this.#events.length > 0) this.#add(event);
    else if (!this.#taken(event)) this.#add(event);
  }

  get waiting(): boolean {
    return this.#events.length > 0;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    const count = this.#events.length + this.#dropped;
    if (count > 0) this.#options.log.error({ count }, LOST);
  }

  /** False where it has to be tried again. */
  #taken(event: AiwgEvent): boolean {
    const { log, take } = this.#options;
    try {
      take(event);
      return true;
    } catch (error) {
      if (isStorageFault(error)) {
        if (this.#events.length === 0) {
          log.warn({ event: event.id, reason: messageOf(error) }, 'An event cannot be taken in now');
        }
        return false;
      }
      log.error({ err: error, event: event.id, topic: event.type }, 'The rules met a fault with an event');
      return true;
    }
  }

  #add(event: AiwgEvent): void {
    const size = JSON.stringify(event).length;
    this.#events.push(event);
    this.#sizes.push(size);
    this.#size += size;
    while (this.#events.length > 1 && (this.#events.length > MOST || this.#size > MOST_SIZE)) {
      this.#forget(1);
      this.#dropped += 1;
    }
    if (!this.#closed) this.#timer ??= this.#options.clock.setTimer(RETRY_MS, () => this.#goOn());
  }

  #forget(count: number): void {
    this.#events.splice(0, count);
    for (const size of this.#sizes.splice(0, count)) this.#size -= size;
  }

  #goOn(): void {
    this.#timer = undefined;
    let done = 0;
    while (done < this.#events.length && this.#taken(this.#events[done] as AiwgEvent)) done += 1;
    this.#forget(done);
    if (this.#events.length > 0) {
      this.#timer = this.#options.clock.setTimer(RETRY_MS, () => this.#goOn());
    } else if (this.#dropped > 0) {
      const count = this.#dropped;
      this.#dropped = 0;
      this.#options.log.error({ count }, LOST);
    }
  }
}
