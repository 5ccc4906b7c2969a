import { randomBytes } from 'node:crypto';
import type { Clock } from '../platform/clock.js';

const TIME_DIGITS = 9;
const COUNTER_DIGITS = 4;
const COUNTER_LIMIT = 36 ** COUNTER_DIGITS;
const ID = /^e([0-9a-z]{9})([0-9a-z]{4})[0-9a-z]+$/;

function digits(value: number, width: number): string {
  return value.toString(36).padStart(width, '0');
}

/**
 * Makes ids that sort by the order of making: milliseconds, a counter, and a mark of this process. When the wall clock
 * jumps back, or a millisecond has more ids than the counter holds, the time in the id goes on from the newest id.
 */
export class EventIds {
  readonly #clock: Clock;
  readonly #mark = digits(randomBytes(3).readUIntBE(0, 3) % COUNTER_LIMIT, COUNTER_DIGITS);
  #ms = 0;
  #counter = 0;
  #prefix = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Makes every later id sort after `id`, which an earlier process made. Text that is no id of ours changes nothing. */
  continueAfter(id: string): void {
    const [, time, counter] = ID.exec(id) ?? [];
    if (time === undefined || counter === undefined) return;
    const ms = Number.parseInt(time, 36);
    if (ms < this.#ms) return;
    this.#moveTo(ms);
    this.#counter = Number.parseInt(counter, 36) + 1;
  }

  next(): string {
    const now = this.#clock.now();
    if (now > this.#ms) this.#moveTo(Math.floor(now));
    else if (this.#counter >= COUNTER_LIMIT) this.#moveTo(this.#ms + 1);
    const id = `e${this.#prefix}${digits(this.#counter, COUNTER_DIGITS)}${this.#mark}`;
    this.#counter += 1;
    return id;
  }

  #moveTo(ms: number): void {
    if (ms === this.#ms && this.#prefix !== '') return;
    this.#ms = ms;
    this.#counter = 0;
    this.#prefix = digits(ms, TIME_DIGITS);
  }
}
