import type { Stats } from 'node:fs';
import { isWithin } from './byte-path.js';
import type { FileTable, TablePath } from './file-table.js';
import type { ViewedPath, WatchView } from './watch-view.js';

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
  /** Paths whose files were being saved when the last life ended. */
  readonly #interrupted = new Set<string>();

  /** Reads what the table says of the last life, and `now` is wall time. */
  constructor(table: FileTable, view: WatchView, now: number) {
    this.#view = view;
    this.#lookedAt = table.lookedAt;
    const saved = table.paths();
    for (const path of view.paths) this.#since.set(path.path, this.#sinceOf(path, saved.get(path.path), now));
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

  /**
   * What a file is that the table does not have: `new`; `changed`, where it was there before, was not saved in time and
   * has been written since; or `old`.
   */
  judge(path: string, stats: Stats): 'new' | 'changed' | 'old' {
    let verdict: 'changed' | 'old' = 'old';
    for (const viewed of this.#view.paths) {
      const since = this.#since.get(viewed.path);
      if (since === undefined || !isWithin(path, viewed.path) || !viewed.shows(path)) continue;
      if (since === null || stats.birthtimeMs > since) return 'new';
      if (this.#interrupted.has(viewed.path) && stats.mtimeMs > since) verdict = 'changed';
    }
    return verdict;
  }

  /** The same, where other files are in view by what `.gitignore` files say now. */
  isNewDespiteOtherRules(stats: Stats): boolean {
    return this.#lookedAt !== undefined && stats.birthtimeMs > this.#lookedAt - MARGIN_MS;
  }

  #sinceOf(viewed: ViewedPath, saved: TablePath | undefined, now: number): number | null {
    if (saved === undefined) return now;
    if (saved.view !== viewed.fingerprint) return (this.#lookedAt ?? now) - MARGIN_MS;
    if (saved.since !== null) this.#interrupted.add(viewed.path);
    return saved.since;
  }
}
