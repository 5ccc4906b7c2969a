import type { Clock, Timer } from '../../platform/clock.js';
import type { ErrorCode } from '../../protocol/errors.js';
import type { OperationResult } from './messages.js';

const STORAGE_CODES: ReadonlySet<ErrorCode> = new Set(['STORAGE_FULL', 'STORAGE_FAILED']);
const PROBE_MS = 1_000;

export interface DiskWatchOptions {
  clock: Clock;
  /** Writes and changes nothing; rejects where that fails. */
  probe: () => Promise<unknown>;
  /** Told the reason when the disk takes nothing, and undefined when it does again. */
  onFault: (message: string | undefined) => void;
}

/**
 * Notices that the disk takes nothing (it is full, say), and when it does again: nobody else may have anything to write
 * then, and a transaction that changed nothing proves nothing.
 */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  /** Looks at what became of a batch. */
  note(results: readonly OperationResult[]): void {
    const failed = results.find((result) => 'error' in result && STORAGE_CODES.has(result.error.code));
    if (failed === undefined || !('error' in failed)) return;
    this.#options.onFault(failed.error.message);
    this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer ??= this.#options.clock.setTimer(PROBE_MS, () => {
      this.#timer = undefined;
      this.#options.probe().then(
        () => this.#options.onFault(undefined),
        // Where it was the disk, `note` has heard of it already; a thread that is lost is told by its own name.
        () => this.#arm(),
      );
    });
  }
}
