import type { Stats } from 'node:fs';
import type { Clock } from '../../platform/clock.js';
import { isWithin, splitPath, within } from './byte-path.js';
import { entryOf, type FileEntry } from './file-entry.js';
import type { FileTable } from './file-table.js';
import type { Directory, FileTree } from './file-tree.js';
import type { PendingChanges } from './pending-changes.js';
import type { StartPolicy } from './start-policy.js';

export interface SeenFilesOptions {
  clock: Clock;
  tree: FileTree;
  pending: PendingChanges;
  /** Something changed that will have to be reported or saved. */
  wake: () => void;
}

/** Stands for a file of which only is known that it was another before. */
const UNLIKE_ANY: FileEntry = { inode: 0, birth: 0, modified: 0, size: -1 };

/** What was seen of files: changes that wait to be reported, and files that come and go without an event. */
export class SeenFiles {
  readonly #options: SeenFilesOptions;
  /** Paths whose row in the table is not what the tree has. */
  readonly #unsaved = new Set<string>();
  #newAtStart: { directory: Directory; name: string; stats: Stats }[] = [];
  /** How the present start takes what it finds. */
  start: { policy: StartPolicy; catchUp: boolean } | undefined;
  /** Wall time at which all that had happened was known. */
  lookedAt: number;

  constructor(options: SeenFilesOptions) {
    this.#options = options;
    this.lookedAt = options.clock.now();
  }

  now(): number {
    return this.#options.clock.now();
  }

  waits(path: string): boolean {
    return this.#options.pending.has(path);
  }

  /** An event told, at wall time `at`, that the path changed. */
  changed(path: string, at: number): void {
    const { pending, clock, wake } = this.#options;
    pending.touch(path, at, at, clock.monotonic());
    wake();
  }

  /**
   * A scan found a change of which there was no event; `stats` where there is a file. `at` is the wall time at which a
   * folder above it was told of. The time of the inode says when it was, unless it is older than the last look: then it
   * came along with a folder.
   */
  foundChanged(path: string, stats?: Stats, at?: number): void {
    const { pending, clock, wake } = this.#options;
    const now = clock.now();
    const changed =
      stats !== undefined && stats.ctimeMs > this.lookedAt ? Math.min(stats.ctimeMs, now) : undefined;
    const first = changed ?? Math.min(at ?? this.lookedAt, now);
    const last = Math.max(changed ?? 0, at ?? changed ?? now);
    // What happened while nobody looked need not be waited for, unless it goes on.
    const settled = this.start === undefined ? last : (changed ?? 0);
    const quiet = Math.min(pending.debounceMs, Math.max(0, settled + pending.debounceMs - now));
    pending.touch(path, first, last, clock.monotonic(), quiet);
    wake();
  }

  /** A file is in view that is nothing new. */
  adopt(directory: Directory, name: string, stats: Stats): void {
    const entry = entryOf(stats);
    if (entry === undefined) return;
    directory.files.set(name, entry);
    this.#mark(within(directory.path, name));
  }

  /** A file is out of view. */
  drop(directory: Directory, name: string): void {
    const path = within(directory.path, name);
    this.#options.pending.forget(path);
    if (directory.files.delete(name)) this.#mark(path);
  }

  /** A folder is out of view: what waited to be reported in it does not count. */
  dropWithin(folder: string): void {
    this.#options.pending.forgetIf((path) => isWithin(path, folder));
  }

  unknownAtStart(directory: Directory, name: string, stats: Stats): void {
    const path = within(directory.path, name);
    const verdict = this.start?.catchUp === true ? this.start.policy.judge(path, stats) : 'old';
    if (verdict === 'old') {
      this.adopt(directory, name, stats);
      return;
    }
    if (verdict === 'changed') directory.files.set(name, UNLIKE_ANY);
    this.foundChanged(path, stats);
    this.#newAtStart.push({ directory, name, stats });
  }

  changedAtStart(directory: Directory, name: string, stats: Stats): void {
    if (this.start?.catchUp === true) this.foundChanged(within(directory.path, name), stats);
    else this.adopt(directory, name, stats);
  }

  missingAtStart(directory: Directory, name: string): void {
    if (this.start?.catchUp === true) this.foundChanged(within(directory.path, name));
    else this.drop(directory, name);
  }

  /** Takes back what only seemed to be new at the start: the files that other rules of `.gitignore` brought into view. */
  rulesChangedBeforeStart(): void {
    for (const { directory, name, stats } of this.#newAtStart) {
      if (this.start?.policy.isNewDespiteOtherRules(stats) === true) continue;
      this.#options.pending.forget(within(directory.path, name));
      this.adopt(directory, name, stats);
    }
  }

  endStart(): void {
    this.start = undefined;
    this.#newAtStart = [];
  }

  /** For a row of the table that has no place in the tree. */
  markUnsaved(path: string): void {
    this.#mark(path);
  }

  /** The change of a path is in the table. */
  saved(path: string): void {
    this.#unsaved.delete(path);
  }

  get allSaved(): boolean {
    return this.#unsaved.size === 0;
  }

  /** Writes up to `limit` rows that differ from the tree, and answers their paths; to be called in a transaction. */
  save(table: FileTable, limit: number): string[] {
    const paths: string[] = [];
    for (const path of this.#unsaved) {
      if (paths.length === limit) break;
      const entry = this.#entryAt(path);
      if (entry === undefined) table.remove(path);
      else table.save(path, entry);
      paths.push(path);
    }
    return paths;
  }

  #entryAt(path: string): FileEntry | undefined {
    const { folder, name } = splitPath(path);
    return this.#options.tree.find(folder)?.files.get(name);
  }

  #mark(path: string): void {
    this.#unsaved.add(path);
    this.#options.wake();
  }
}
