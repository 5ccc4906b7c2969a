import { isStorageFault } from '../database/storage-error.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { AiwgEvent } from '../protocol/event.js';

const RETRY_MS = 1_000;
/** Events that wait while the disk takes nothing; beyond, the oldest go, and the log says so. */
const MOST = 10_000;
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
    this.#events.push(event);
    if (this.#events.length > MOST) {
      this.#events.shift();
      this.#dropped += 1;
    }
    if (!this.#closed) this.#timer ??= this.#options.clock.setTimer(RETRY_MS, () => this.#goOn());
  }

  #goOn(): void {
    this.#timer = undefined;
    let done = 0;
    while (done < this.#events.length && this.#taken(this.#events[done] as AiwgEvent)) done += 1;
    this.#events = this.#events.slice(done);
    if (this.#events.length > 0) {
      this.#timer = this.#options.clock.setTimer(RETRY_MS, () => this.#goOn());
    } else if (this.#dropped > 0) {
      const count = this.#dropped;
      this.#dropped = 0;
      this.#options.log.error({ count }, LOST);
    }
  }
}
