import type { Log } from '../platform/log.js';

/** Releasers, collected while resources are acquired and run in reverse: at the end, and on a start that failed midway. */
export class ReleaseStack {
  readonly #releasers: { name: string; release: () => void | Promise<void> }[] = [];

  push(name: string, release: () => void | Promise<void>): void {
    this.#releasers.push({ name, release });
  }

  /** Runs all of them; one that fails is logged and keeps none of the others. */
  async releaseAll(log: Log | undefined): Promise<void> {
    for (let next = this.#releasers.pop(); next !== undefined; next = this.#releasers.pop()) {
      try {
        await next.release();
      } catch (error) {
        log?.error({ err: error, part: next.name }, 'could not be closed cleanly');
      }
    }
  }
}
