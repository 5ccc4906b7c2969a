import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';

/** A change is written at most this long after it was made. */
const WRITE_AFTER_MS = 1000;
/** Pause before the next try after a failed write. */
const RETRY_AFTER_MS = 5000;

export type OnFault = (error: Error | null) => void;

export interface DelayedWriterOptions {
  clock: Clock;
  log: Log;
  /** What is written, as the log names it: "The event history". */
  what: string;
  file: string;
  /** Writes all that is new; throws the system's error, and then will be called again. */
  write: () => void;
  /** Told once when writing begins to fail, and with null when it works again. */
  onFault: OnFault | undefined;
}

/**
 * Gathers changes of one file into one write a second. A write that fails (a full disk, say) is reported once and
 * tried again until it works; the owner keeps what is to be written in memory meanwhile, within its own bound.
 */
export class DelayedWriter {
  readonly #options: DelayedWriterOptions;
  #timer: Timer | undefined;
  #due = false;
  #faulty = false;
  #closed = false;

  constructor(options: DelayedWriterOptions) {
    this.#options = options;
  }

  /** Something changed. */
  touch(): void {
    this.#due = true;
    if (!this.#closed) this.#arm(WRITE_AFTER_MS);
  }

  /** Writes now what is due. Never throws. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#due) return;
    try {
      this.#options.write();
      this.#due = false;
      if (this.#faulty) this.#recovered();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Writes what is due, for the last time; what the disk does not take is lost, and the log says so. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.flush();
    const { log, file, what } = this.#options;
    if (this.#due) log.error({ file }, `${what} could not be written before the end: what was new is lost`);
  }

  #arm(ms: number): void {
    this.#timer ??= this.#options.clock.setTimer(ms, () => this.flush());
  }

  #failed(error: unknown): void {
    const { log, file, what, onFault } = this.#options;
    if (!this.#closed) this.#arm(RETRY_AFTER_MS);
    if (this.#faulty) return;
    this.#faulty = true;
    const sentence = `${what} cannot be written (${messageOf(error)}): kept in memory until it can`;
    log.error({ err: error, file }, sentence);
    onFault?.(new Error(sentence, { cause: error }));
  }

  #recovered(): void {
    const { log, file, what, onFault } = this.#options;
    this.#faulty = false;
    log.info({ file }, `${what} is written again`);
    onFault?.(null);
  }
}
