import type { Stats } from 'node:fs';
import { isWithin } from './byte-path.js';
import type { FileTable, TablePath } from './file-table.js';
import type { WatchView } from './watch-view.js';

/**
 * Clocks of file systems are coarse, and an event comes a moment after the change: a file that is this much older than
 * the last look may have been made after it.
 */
const MARGIN_MS = 100;

/**
 * What a file is that a start finds and the table does not have: new, where the table had all files of a path that still
 * shows the same; else only where it was made after the path was looked at for the last time.
 */
export class StartPolicy {
  readonly #view: WatchView;
  readonly #lookedAt: number | undefined;
  readonly #since = new Map<string, number | null>();

  /** Reads what the table says of the last life, and `now` is wall time. */
  constructor(table: FileTable, view: WatchView, now: number) {
    this.#view = view;
    this.#lookedAt = table.lookedAt;
    const saved = table.paths();
    for (const path of view.paths)
      this.#since.set(path.path, this.#sinceOf(path.fingerprint, saved.get(path.path), now));
  }

  /** For the table: what holds until it has every file. */
  get paths(): Map<string, TablePath> {
    return new Map(
      this.#view.paths.map(({ path, fingerprint }) => [
        path,
        { view: fingerprint, since: this.#since.get(path) ?? null },
      ]),
    );
  }

  /** Whether a file that the table does not have is to be reported. */
  isNew(path: string, stats: Stats): boolean {
    return this.#view.paths.some((viewed) => {
      const since = this.#since.get(viewed.path);
      if (since === undefined || !isWithin(path, viewed.path) || !viewed.shows(path)) return false;
      return since === null || stats.birthtimeMs > since;
    });
  }

  /** The same, where other files are in view by what `.gitignore` files say now. */
  isNewDespiteOtherRules(stats: Stats): boolean {
    return this.#lookedAt !== undefined && stats.birthtimeMs > this.#lookedAt - MARGIN_MS;
  }

  #sinceOf(fingerprint: string, saved: TablePath | undefined, now: number): number | null {
    if (saved === undefined) return now;
    if (saved.view !== fingerprint) return (this.#lookedAt ?? now) - MARGIN_MS;
    return saved.since;
  }
}
