import type { StateDatabase } from '../../database/state-database.js';
import type { Clock, Timer } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { messageOf } from '../../protocol/errors.js';
import type { AiwgEvent, NewEvent } from '../../protocol/event.js';
import { bytesOfPath, isText, readablePath, splitPath } from './byte-path.js';
import {
  changeBetween,
  entryOf,
  type FileChange,
  type FileEntry,
  isRealFolder,
  lookAt,
} from './file-entry.js';
import type { FileTable } from './file-table.js';
import type { Directory, FileTree } from './file-tree.js';
import type { GitActivity } from './git-folder.js';
import type { PendingChange, PendingChanges } from './pending-changes.js';
import type { SeenFiles } from './seen-files.js';
import type { WatchView } from './watch-view.js';

export interface ChangeReporterOptions {
  root: string;
  db: StateDatabase;
  table: FileTable;
  tree: FileTree;
  pending: PendingChanges;
  seen: SeenFiles;
  git: GitActivity;
  clock: Clock;
  log: Log;
  view: () => WatchView;
  /** Whether folders are still being looked at. */
  isScanning: () => boolean;
  publish: (event: NewEvent) => AiwgEvent;
  onFault: (code: string, error: Error | undefined) => void;
}

/** Changes that go into one transaction; between two of them the event loop goes round. */
const BATCH = 500;
/** Rows that are saved without an event, in one transaction. */
const SAVE_BATCH = 1_000;
/** A timer may fire this much early by the monotonic clock. */
const EARLY_MS = 0.6;
/** git takes and gives back its lock again and again: looked at in this rhythm, and not waited for longer than a minute. */
const GIT_RHYTHM_MS = 100;
const LONGEST_HOLD_MS = 60_000;
/** A file in a folder that is not watched is looked at again in this rhythm; then it counts as out of view. */
const RECHECK_MS = 20;
const LONGEST_UNWATCHED_MS = 30_000;
/** Pauses after a transaction that failed. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

interface Outcome {
  path: string;
  directory: Directory;
  name: string;
  change: FileChange;
  entry: FileEntry | undefined;
  event: NewEvent | undefined;
}

/** Reports changes when they are due: the event and the row of the table in one transaction, so each change is told once. */
export class ChangeReporter {
  readonly #options: ChangeReporterOptions;
  #timer: { timer: Timer; at: number } | undefined;
  #soon: NodeJS.Immediate | undefined;
  #heldSince: number | undefined;
  #pause = 0;
  #notBefore = -Infinity;
  #closed = false;
  /** Until `begin`: what a start finds is judged as a whole. */
  #begun = false;
  #reported = 0;
  #waiting: (() => void)[] = [];
  /** What is yet to be written when every row is saved. */
  #onAllSaved: (() => void) | undefined;

  constructor(options: ChangeReporterOptions) {
    this.#options = options;
  }

  /** Events reported so far. */
  get reported(): number {
    return this.#reported;
  }

  /** From now on changes are reported when they are due. */
  begin(): void {
    this.#begun = true;
    this.wake();
  }

  /** Something may be due sooner than was known. */
  wake(): void {
    if (this.#closed || !this.#begun || this.#soon !== undefined) return;
    const due = this.#nextDue();
    if (due === undefined) return;
    if (this.#timer !== undefined) {
      if (this.#timer.at <= due) return;
      this.#timer.timer.cancel();
    }
    const timer = this.#options.clock.setTimer(Math.max(0, due - this.#now()), () => {
      this.#timer = undefined;
      this.#run();
    });
    this.#timer = { timer, at: due };
  }

  /** Resolves when nothing is due at this moment; also when the disk takes nothing or git is at work: then it comes later. */
  reportDue(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#runSoon();
    });
  }

  /** Runs `write` in the transaction that saves the last rows without an event, or in one of its own where all are saved. */
  whenAllSaved(write: () => void): void {
    this.#onAllSaved = write;
    this.wake();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.timer.cancel();
    clearImmediate(this.#soon);
    this.#soon = undefined;
    this.#release();
    if (this.#pause > 0) this.#options.onFault('watch.report', undefined);
  }

  /** Wall time at which everything that had happened was known. */
  lookTime(): number {
    const { pending, clock } = this.#options;
    return Math.min(pending.oldest ?? Infinity, clock.now());
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  #nextDue(): number | undefined {
    const { pending, seen } = this.#options;
    const unsaved = !seen.allSaved || this.#onAllSaved !== undefined;
    const due = unsaved && !this.#options.isScanning() ? this.#now() : pending.nextDue();
    return due === undefined ? undefined : Math.max(due, this.#notBefore);
  }

  #runSoon(): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#run();
    });
  }

  #run(): void {
    const now = this.#now();
    if (now < this.#notBefore || this.#holdForGit(now)) {
      this.#release();
      this.wake();
      return;
    }
    const { pending } = this.#options;
    // Events are told to whoever listens before the transaction ends: while it fails, not hundreds again and again.
    const taken = pending.take(now + EARLY_MS, this.#pause > 0 ? 1 : BATCH);
    try {
      if (taken.length > 0) this.#report(taken);
      else this.#save();
      if (this.#pause > 0) this.#recovered();
    } catch (error) {
      this.#failed(error, taken);
    }
    const next = this.#nextDue();
    const more = next !== undefined && next <= this.#now() + EARLY_MS;
    const moreChanges = (pending.nextDue() ?? Infinity) <= this.#now() + EARLY_MS;
    if (!moreChanges || this.#pause > 0) this.#release();
    if (more) this.#runSoon();
    else this.wake();
  }

  /** While git changes the working tree, changes are gathered: what it puts back has not changed. */
  #holdForGit(now: number): boolean {
    if (this.#options.pending.size === 0 || !this.#options.git.isBusy()) {
      this.#heldSince = undefined;
      return false;
    }
    this.#heldSince ??= now;
    if (now - this.#heldSince >= LONGEST_HOLD_MS) return false;
    this.#notBefore = now + GIT_RHYTHM_MS;
    return true;
  }

  #report(taken: readonly PendingChange[]): void {
    const { db, table, publish } = this.#options;
    const outcomes = taken.flatMap((change) => this.#judge(change) ?? []);
    if (outcomes.length === 0) return;
    const look = this.lookTime();
    db.transaction(() => {
      db.afterCommit(() => this.#accept(outcomes, look));
      for (const { path, entry, event } of outcomes) {
        if (event !== undefined) publish(event);
        if (entry === undefined) table.remove(path);
        else table.save(path, entry);
      }
      table.lookedAt = look;
    });
  }

  /** What became of a path by now; undefined where nothing did. */
  #judge(pending: PendingChange): Outcome | undefined {
    const { root, tree, seen } = this.#options;
    const { path } = pending;
    const { folder, name } = splitPath(path);
    const directory = tree.find(folder);
    if (directory === undefined) return undefined;
    // A link may stand where the folder was: what is seen through that is not the file.
    const reachable = directory.place !== undefined || isRealFolder(root, folder);
    const stats = reachable ? lookAt(`${root}/${path}`) : 'gone';
    if (stats === 'unknown') return undefined;
    const entry = stats === 'gone' ? undefined : entryOf(stats);
    if (entry !== undefined && directory.place === undefined) {
      // The folder is there again, and will be watched as soon as that is heard of.
      const now = this.#now();
      if (now - pending.heard < LONGEST_UNWATCHED_MS)
        this.#options.pending.giveBack([pending], now + RECHECK_MS);
      else seen.drop(directory, name);
      return undefined;
    }
    const change = changeBetween(directory.files.get(name), entry);
    if (change === undefined) {
      tree.prune(directory);
      return undefined;
    }
    const event = this.#eventOf(change, pending, entry, stats === 'gone' ? undefined : stats.ctimeMs);
    return { path, directory, name, change, entry, event };
  }

  /** `inodeTime` also tells of changes of which the events are still to come, or were late. */
  #eventOf(
    change: FileChange,
    pending: PendingChange,
    entry: FileEntry | undefined,
    inodeTime: number | undefined,
  ): NewEvent | undefined {
    if (!this.#options.view().reports(pending.path, change)) return undefined;
    const { path } = pending;
    let { first, last } = pending;
    const time = Math.min(inodeTime ?? 0, this.#options.clock.now());
    if (time > this.#options.seen.lookedAt) {
      first = Math.min(first, time);
      last = Math.max(last, time);
    }
    const payload: Record<string, unknown> = {
      path: readablePath(path),
      firstChangeAt: new Date(first).toISOString(),
      lastChangeAt: new Date(last).toISOString(),
    };
    if (entry !== undefined) payload['size'] = entry.size;
    if (!isText(path)) payload['path_base64'] = bytesOfPath(path).toString('base64');
    return { type: `file.${change}`, source: 'file_watcher', payload };
  }

  #accept(outcomes: readonly Outcome[], look: number): void {
    const { seen, tree } = this.#options;
    seen.lookedAt = look;
    for (const { path, directory, name, entry, event } of outcomes) {
      if (entry !== undefined) directory.files.set(name, entry);
      else if (directory.files.delete(name)) tree.prune(directory);
      seen.saved(path);
      if (event !== undefined) this.#reported += 1;
    }
  }

  #save(): void {
    const { db, table, seen, isScanning } = this.#options;
    if (isScanning() || (seen.allSaved && this.#onAllSaved === undefined)) return;
    db.transaction(() => {
      const paths = seen.save(table, SAVE_BATCH);
      const last = paths.length < SAVE_BATCH ? this.#onAllSaved : undefined;
      last?.();
      db.afterCommit(() => {
        for (const path of paths) seen.saved(path);
        if (last !== undefined && this.#onAllSaved === last) this.#onAllSaved = undefined;
      });
    });
  }

  #failed(error: unknown, taken: readonly PendingChange[]): void {
    const { pending, log, onFault } = this.#options;
    const first = this.#pause === 0;
    this.#pause = first ? FIRST_PAUSE_MS : Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    this.#notBefore = this.#now() + this.#pause;
    pending.giveBack(taken, this.#notBefore);
    if (!first) return;
    const sentence = `Changes of files cannot be reported (${messageOf(error)}): they are kept and tried again`;
    log.error({ err: error }, sentence);
    onFault('watch.report', new Error(sentence, { cause: error }));
  }

  #recovered(): void {
    this.#pause = 0;
    this.#options.log.info({}, 'Changes of files are reported again');
    this.#options.onFault('watch.report', undefined);
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
