import type { Clock, Timer } from '../platform/clock.js';

const LOOK_EVERY_MS = 1000;
/** An overflow without an end is told again after so many looks, that is every minute. */
const LOOKS_PER_NOTICE = 60;

/**
 * Counts the events that a full queue lets go and tells it once for each overflow: when the queue has drained, or when
 * nothing was dropped for a second, or (while it goes on) once a minute. Never more than one notice a second.
 */
export class OverflowNotice {
  readonly #clock: Clock;
  readonly #hasDrained: () => boolean;
  readonly #tell: (dropped: number) => void;
  #total = 0;
  #untold = 0;
  #atLastLook = 0;
  #looks = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, hasDrained: () => boolean, tell: (dropped: number) => void) {
    this.#clock = clock;
    this.#hasDrained = hasDrained;
    this.#tell = tell;
  }

  /** Events dropped since the beginning. */
  get total(): number {
    return this.#total;
  }

  add(): void {
    this.#total += 1;
    this.#untold += 1;
    if (this.#timer !== undefined) return;
    this.#atLastLook = 0;
    this.#looks = 0;
    this.#arm();
  }

  /** Tells at once what is not told yet. */
  close(): void {
    this.#timer?.cancel();
    if (this.#timer !== undefined) this.#finish();
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(LOOK_EVERY_MS, () => this.#look());
  }

  #look(): void {
    this.#looks += 1;
    const quiet = this.#atLastLook === this.#untold;
    this.#atLastLook = this.#untold;
    if (!quiet && this.#looks < LOOKS_PER_NOTICE && !this.#hasDrained()) {
      this.#arm();
      return;
    }
    this.#finish();
  }

  #finish(): void {
    const dropped = this.#untold;
    this.#untold = 0;
    this.#timer = undefined;
    this.#tell(dropped);
  }
}
