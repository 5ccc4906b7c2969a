import type { Log } from '../../platform/log.js';
import { messageOf } from '../../protocol/errors.js';
import { readablePath } from './byte-path.js';

/** Folders that are named one by one; the rest is only counted. */
const NAMED = 5;
/** Folders that are remembered at most. */
const KEPT = 10_000;

/** The folders that could not be read when they were looked at last: one health issue for all. */
export class UnreadableFolders {
  readonly #log: Log;
  readonly #onFault: (code: string, error: Error | undefined) => void;
  readonly #paths = new Set<string>();

  constructor(log: Log, onFault: (code: string, error: Error | undefined) => void) {
    this.#log = log;
    this.#onFault = onFault;
  }

  /** A folder was read, or could not be. */
  tell(path: string, error: Error | undefined): void {
    if (error === undefined) {
      if (!this.#paths.delete(path)) return;
    } else {
      if (this.#paths.has(path) || this.#paths.size >= KEPT) return;
      this.#paths.add(path);
      this.#log.warn(
        { err: error, path: readablePath(path) },
        `A folder cannot be watched: ${messageOf(error)}`,
      );
    }
    this.#onFault('watch.unreadable', this.#issue());
  }

  /** Nothing is watched any more. */
  close(): void {
    if (this.#paths.size > 0) this.#onFault('watch.unreadable', undefined);
    this.#paths.clear();
  }

  #issue(): Error | undefined {
    if (this.#paths.size === 0) return undefined;
    const named = [...this.#paths].slice(0, NAMED).map((path) => readablePath(path) || '.');
    const more = this.#paths.size > NAMED ? ` and ${this.#paths.size - NAMED} more` : '';
    return new Error(
      `These folders cannot be read, and what happens in them is not seen: ${named.join(', ')}${more}. Make them readable for the daemon, or name them in watch.ignore.`,
    );
  }
}
