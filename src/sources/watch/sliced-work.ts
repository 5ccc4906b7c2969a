import type { Clock } from '../../platform/clock.js';

/** The event loop has other work: sockets are answered between two slices. */
const SLICE_MS = 8;

/** Does long synchronous work in short slices. A piece of work is a generator that yields wherever it may be interrupted. */
export class SlicedWork {
  readonly #clock: Clock;
  readonly #next: () => Generator<void> | undefined;
  readonly #onIdle: () => void;
  #current: Generator<void> | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #waiting: (() => void)[] = [];

  /** `next` gives the next piece, or undefined when there is none; then `onIdle` is called. */
  constructor(clock: Clock, next: () => Generator<void> | undefined, onIdle: () => void) {
    this.#clock = clock;
    this.#next = next;
    this.#onIdle = onIdle;
  }

  get busy(): boolean {
    return this.#immediate !== undefined;
  }

  /** There is work again. It begins when the events that have arrived by now have been handled. */
  wake(): void {
    this.#immediate ??= setImmediate(() => this.#run());
  }

  /** Resolves when there is no work left. */
  idle(): Promise<void> {
    if (!this.busy) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Drops what is left. */
  close(): void {
    clearImmediate(this.#immediate);
    this.#finish();
  }

  #run(): void {
    const end = this.#clock.monotonic() + SLICE_MS;
    do {
      this.#current ??= this.#next();
      if (this.#current === undefined) {
        this.#finish();
        this.#onIdle();
        return;
      }
      if (this.#step(this.#current)) this.#current = undefined;
    } while (this.#clock.monotonic() < end);
    this.#immediate = setImmediate(() => this.#run());
  }

  /** Answers whether that was the end of the piece. One that throws is dropped; what comes after it is done all the same. */
  #step(piece: Generator<void>): boolean {
    try {
      return piece.next().done === true;
    } catch (error) {
      this.#current = undefined;
      this.#immediate = setImmediate(() => this.#run());
      throw error;
    }
  }

  #finish(): void {
    this.#immediate = undefined;
    this.#current = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
