import type { Clock, Timer } from '../../platform/clock.js';
import type { Directory } from './file-tree.js';

const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** The pause is this many times what a round took: so polling takes at most some five percent of a processor. */
const PAUSE_FACTOR = 20;

export interface PollerOptions {
  clock: Clock;
  /** The folders without a watch. */
  polled: () => ReadonlySet<Directory>;
  scan: (directory: Directory) => void;
  /** Resolves when all scans are done. */
  idle: () => Promise<void>;
  shortestPauseMs?: number | undefined;
}

/** Looks at folders that are not watched, again and again, the less often the longer it takes. */
export class Poller {
  readonly #options: PollerOptions;
  readonly #shortest: number;
  #timer: Timer | undefined;
  #atWork = false;
  #closed = false;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#shortest = options.shortestPauseMs ?? SHORTEST_PAUSE_MS;
  }

  /** To be called whenever a folder may have lost its watch. */
  wake(): void {
    if (!this.#closed && !this.#atWork && this.#options.polled().size > 0) this.#arm(this.#shortest);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #arm(ms: number): void {
    this.#timer ??= this.#options.clock.setTimer(ms, () => {
      this.#timer = undefined;
      void this.#round();
    });
  }

  async #round(): Promise<void> {
    const { clock, polled, scan, idle } = this.#options;
    const begin = clock.monotonic();
    this.#atWork = true;
    for (const directory of polled()) scan(directory);
    await idle();
    this.#atWork = false;
    const took = clock.monotonic() - begin;
    if (this.#closed || polled().size === 0) return;
    this.#arm(Math.min(Math.max(took * PAUSE_FACTOR, this.#shortest), LONGEST_PAUSE_MS));
  }
}
