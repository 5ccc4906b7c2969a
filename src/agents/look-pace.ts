import type { Clock } from '../platform/clock.js';
import type { StreamSizes } from './attempt-files.js';

const OUTPUT_HINT_MS = 250;
/** Time to the first look, which also names the agent; most of its time an attempt is looked at four times a second. */
export const FIRST_LOOK_MS = 5;
const QUICK_LOOK_MS = 50;
const SLOW_LOOK_MS = 250;

/** How much an attempt has written, how soon it is looked at again, and when others are told that there is more. */
export class LookPace {
  readonly #clock: Clock;
  readonly #onOutput: (sizes: StreamSizes) => void;
  #sizes: StreamSizes = { stdout: 0, stderr: 0 };
  #hinted: { at: number; total: number } = { at: Number.NEGATIVE_INFINITY, total: 0 };
  #pauseMs = FIRST_LOOK_MS;

  constructor(clock: Clock, onOutput: (sizes: StreamSizes) => void) {
    this.#clock = clock;
    this.#onOutput = onOutput;
  }

  get sizes(): StreamSizes {
    return this.#sizes;
  }

  /** Until the next look. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  /** Takes what a look has found, and answers whether it is more. `named`: the agent's pid is known. */
  note(sizes: StreamSizes | undefined, named: boolean): boolean {
    const { stdout, stderr } = sizes ?? this.#sizes;
    const grown = stdout !== this.#sizes.stdout || stderr !== this.#sizes.stderr;
    this.#sizes = { stdout, stderr };
    const least = named ? QUICK_LOOK_MS : FIRST_LOOK_MS;
    this.#pauseMs = grown ? QUICK_LOOK_MS : Math.min(Math.max(this.#pauseMs * 2, least), SLOW_LOOK_MS);
    const total = stdout + stderr;
    const now = this.#clock.monotonic();
    if (total !== this.#hinted.total && now - this.#hinted.at >= OUTPUT_HINT_MS) {
      this.#hinted = { at: now, total };
      this.#onOutput(this.#sizes);
    }
    return grown;
  }

  /** Takes what there is in the end. */
  last(sizes: StreamSizes): void {
    this.#sizes = sizes;
    if (sizes.stdout + sizes.stderr > this.#hinted.total) this.#onOutput(sizes);
  }
}
