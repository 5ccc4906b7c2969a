import { createHash } from 'node:crypto';
import type { Timer } from '../../platform/clock.js';
import type { WatchConfig } from '../../protocol/config/config-schema.js';
import { isWithin, splitPath, within } from './byte-path.js';
import { ChangeReporter } from './change-reporter.js';
import { DirectoryWatches, WATCH_AGAIN_MS } from './directory-watches.js';
import { FileTable, type TablePath } from './file-table.js';
import { type Directory, FileTree, walk } from './file-tree.js';
import type { FileWatcherOptions } from './file-watcher.js';
import { FolderReader } from './folder-reader.js';
import { GitActivity } from './git-folder.js';
import { PendingChanges } from './pending-changes.js';
import { Poller } from './poller.js';
import { SeenFiles } from './seen-files.js';
import { SlicedWork } from './sliced-work.js';
import { StartPolicy } from './start-policy.js';
import { TreeScan } from './tree-scan.js';
import { UnreadableFolders } from './unreadable-folders.js';
import { platformBackend } from './watch-backend.js';
import { WatchView } from './watch-view.js';
import { watchWarnings } from './watch-warnings.js';

/** Rows of the saved table that are read at once. */
const PAGE = 2_000;
/** A `.gitignore` that is being written counts when it was quiet for so long, or for the debounce where that is less. */
const RULES_QUIET_MS = 50;
/** After a burst the disk is looked at when there was none for this long, and at the latest after that long. */
const AFTER_BURST_MS = 200;
const LATEST_AFTER_BURST_MS = 3_000;
/** How often it is noted that all is known. */
const LOOK_EVERY_MS = 60_000;
const IGNORE_FILE = '.gitignore';

/** Watching from a start to a close, under a configuration that may change. */
export class WatchSession {
  readonly #options: FileWatcherOptions;
  readonly #tree = new FileTree();
  readonly #table: FileTable;
  readonly #pending: PendingChanges;
  readonly #seen: SeenFiles;
  readonly #work: SlicedWork;
  readonly #scan: TreeScan;
  readonly #watches: DirectoryWatches;
  readonly #unreadable: UnreadableFolders;
  readonly #reporter: ChangeReporter;
  readonly #poller: Poller;
  #config: WatchConfig;
  #view: WatchView;
  #rulesTimer: Timer | undefined;
  readonly #rulesChanged = new Set<Directory>();
  #burst: { timer: Timer; since: number } | undefined;
  #lookTimer: Timer | undefined;
  #started = false;
  #closed = false;

  /** Makes its tables where they are not there. Throws STORAGE_FULL or STORAGE_FAILED. */
  constructor(options: FileWatcherOptions, config: WatchConfig) {
    const { root, db, clock, log, onFault } = options;
    this.#options = options;
    this.#config = config;
    this.#view = new WatchView(root, config);
    this.#table = new FileTable(db);
    const tree = this.#tree;
    const pending = new PendingChanges(config.debounce_ms);
    this.#pending = pending;
    const wake = (): void => this.#reporter.wake();
    const seen = new SeenFiles({ clock, tree, pending, wake });
    this.#seen = seen;
    this.#watches = new DirectoryWatches({
      backend: platformBackend(root),
      clock,
      log,
      polling: config.use_polling,
      watchAgainMs: options.watchAgainMs ?? WATCH_AGAIN_MS,
      onEvent: (directory, type, name) => this.#onEvent(directory, type, name),
      onBurst: () => this.#onBurst(),
      onFault,
    });
    const unreadable = new UnreadableFolders(log, onFault);
    this.#unreadable = unreadable;
    this.#work = new SlicedWork(
      clock,
      () => this.#scan.next(),
      () => this.#afterWork(),
    );
    this.#scan = new TreeScan(
      {
        tree,
        reader: new FolderReader(root, unreadable),
        watches: this.#watches,
        seen,
        wake: () => this.#work.wake(),
      },
      this.#view,
    );
    this.#reporter = new ChangeReporter({
      ...options,
      table: this.#table,
      tree,
      pending,
      seen,
      git: new GitActivity(root, clock),
      view: () => this.#view,
      isScanning: () => this.#work.busy,
    });
    this.#poller = new Poller({
      clock,
      polled: () => this.#unwatched(),
      scan: (directory) => this.#scan.scan(directory, { reason: 'new', deep: false }),
      idle: () => this.#work.idle(),
      shortestPauseMs: options.pollPauseMs,
    });
  }

  /** Resolves when everything is watched, and (where `catchUp` says so) what changed since the last time has been reported. */
  async start(catchUp: boolean): Promise<void> {
    const { clock } = this.#options;
    const policy = new StartPolicy(this.#table, this.#view, clock.now());
    this.#seen.lookedAt = this.#table.lookedAt ?? clock.now();
    this.#seen.start = { policy, catchUp };
    this.#notePaths(policy.paths);
    this.#warn();
    await this.#load();
    if (this.#closed) return;
    this.#scan.scan(this.#tree.root, { reason: 'start', deep: false });
    await this.#work.idle();
    if (this.#closed) return;
    this.#endOfStartScan();
    this.#reporter.begin();
    await this.#reporter.reportDue();
    if (this.#closed) return;
    this.#seen.endStart();
    this.#started = true;
    this.#seen.lookedAt = this.#reporter.lookTime();
    this.#markComplete();
    this.#poller.wake();
    this.#noteLook();
  }

  /** Takes a configuration over that differs in nothing but what shows and when; see `FileWatcher`. */
  async reconfigure(config: WatchConfig): Promise<void> {
    const { root, clock } = this.#options;
    const last = this.#view;
    this.#config = config;
    this.#pending.debounceMs = config.debounce_ms;
    this.#view = new WatchView(root, config);
    this.#scan.view = this.#view;
    const known = new Map(last.paths.map(({ path, fingerprint }) => [path, fingerprint]));
    const now = clock.now();
    const paths = this.#view.paths.map(({ path, fingerprint }): [string, TablePath] => {
      const same = known.get(path) === fingerprint && this.#seen.allSaved;
      return [path, { view: fingerprint, since: same ? null : now }];
    });
    this.#notePaths(new Map(paths));
    this.#scan.scan(this.#tree.root, { reason: 'view', deep: true });
    await this.#completeWhenIdle();
  }

  status(): { files: number; directories: number; reported: number; polled: number; waiting: number } {
    return {
      ...this.#tree.counts(),
      reported: this.#reporter.reported,
      polled: this.#watches.polled.size,
      waiting: this.#pending.size,
    };
  }

  /** What has not been reported yet is found by the next start. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of [this.#rulesTimer, this.#burst?.timer, this.#lookTimer]) timer?.cancel();
    // A start that was cut off has not seen all there is.
    if (this.#started) this.#saveLook();
    this.#poller.close();
    this.#reporter.close();
    this.#work.close();
    for (const directory of walk(this.#tree.root)) this.#watches.detach(directory);
    this.#watches.close();
    this.#unreadable.close();
  }

  /** Also the project's folder itself, where somebody moved it away: nobody tells when it is there again. */
  #unwatched(): ReadonlySet<Directory> {
    const { root } = this.#tree;
    return root.place === undefined ? new Set([root]) : this.#watches.polled;
  }

  /** Which files the table has by now; where that cannot be written, it is when all of them are saved. */
  #notePaths(paths: ReadonlyMap<string, TablePath>): void {
    try {
      this.#options.db.transaction(() => this.#table.savePaths(paths));
    } catch (error) {
      this.#options.log.warn(
        { err: error },
        'What is watched could not be noted in the database: tried again',
      );
    }
  }

  #warn(): void {
    const { root, log } = this.#options;
    for (const sentence of watchWarnings(root, this.#config)) log.warn({}, sentence);
  }

  /** Rows wait to be saved until all folders have been looked at; and some may have got no watch. */
  #afterWork(): void {
    if (this.#closed) return;
    this.#reporter.wake();
    this.#poller.wake();
  }

  async #load(): Promise<void> {
    for (let after: string | undefined = ''; after !== undefined && !this.#closed; ) {
      const { files, last } = this.#table.page(after, PAGE);
      for (const { path, entry } of files) {
        const { folder, name } = splitPath(path);
        if (this.#view.paths.some((viewed) => isWithin(path, viewed.path))) {
          this.#tree.directory(folder).files.set(name, entry);
        } else this.#seen.markUnsaved(path);
      }
      after = last;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #endOfStartScan(): void {
    const saved = this.#table.ignoreDigest;
    if (saved !== undefined && saved !== this.#ignoreDigest()) this.#seen.rulesChangedBeforeStart();
    for (const directory of walk(this.#tree.root)) {
      if (directory.place !== undefined) continue;
      for (const name of directory.files.keys()) this.#seen.missingAtStart(directory, name);
    }
  }

  /** From now on the table has every file; noted as soon as that is so. */
  #markComplete(): void {
    const paths = this.#view.paths.map(({ path, fingerprint }): [string, TablePath] => [
      path,
      { view: fingerprint, since: null },
    ]);
    this.#reporter.whenAllSaved(() => {
      this.#table.savePaths(new Map(paths));
      this.#table.ignoreDigest = this.#ignoreDigest();
      this.#table.lookedAt = this.#reporter.lookTime();
    });
  }

  #ignoreDigest(): string {
    const texts: string[] = [];
    for (const { path, place } of walk(this.#tree.root)) {
      if (place?.ownIgnoreText !== undefined) texts.push(JSON.stringify([path, place.ownIgnoreText]));
    }
    return createHash('sha256').update(texts.toSorted().join('\n')).digest('hex');
  }

  #onEvent(directory: Directory, type: 'rename' | 'change', name: string | null): void {
    // Without a place it is out of view, or will be looked at in a moment.
    if (this.#closed || directory.place === undefined) return;
    if (name === null || name.includes('\uFFFD')) {
      this.#scan.scan(directory, { reason: 'new', deep: name === null });
      return;
    }
    const at = this.#options.clock.now();
    // The folder itself is told of under its own name.
    if (type === 'rename' && name === directory.name && directory.parent !== undefined) {
      this.#scan.check(directory.parent, name, at);
    }
    if (name === IGNORE_FILE && this.#view.respectsGitignore) this.#rulesMayHaveChanged(directory);
    if (directory.place.mayShow(name)) this.#hear(directory, type, name, at);
  }

  #hear(directory: Directory, type: 'rename' | 'change', name: string, at: number): void {
    const path = within(directory.path, name);
    const known = directory.files.has(name) || this.#pending.has(path);
    if (known) this.#seen.changed(path, at);
    if (type === 'rename' || !known) this.#scan.check(directory, name, at);
  }

  #rulesMayHaveChanged(directory: Directory): void {
    this.#rulesChanged.add(directory);
    this.#rulesTimer?.cancel();
    const quiet = Math.min(RULES_QUIET_MS, this.#config.debounce_ms / 2);
    this.#rulesTimer = this.#options.clock.setTimer(quiet, () => {
      for (const changed of this.#rulesChanged) this.#scan.scan(changed, { reason: 'view', deep: false });
      this.#rulesChanged.clear();
      void this.#completeWhenIdle();
    });
  }

  async #completeWhenIdle(): Promise<void> {
    await this.#work.idle();
    if (!this.#closed) this.#markComplete();
  }

  #onBurst(): void {
    const { clock } = this.#options;
    const now = clock.monotonic();
    const since = this.#burst?.since ?? now;
    this.#burst?.timer.cancel();
    const pause = Math.max(0, Math.min(AFTER_BURST_MS, since + LATEST_AFTER_BURST_MS - now));
    const timer = clock.setTimer(pause, () => {
      this.#burst = undefined;
      this.#scan.scan(this.#tree.root, { reason: 'new', deep: true });
    });
    this.#burst = { timer, since };
  }

  #noteLook(): void {
    this.#lookTimer = this.#options.clock.setTimer(LOOK_EVERY_MS, () => {
      this.#saveLook();
      this.#noteLook();
    });
  }

  #saveLook(): void {
    const look = this.#reporter.lookTime();
    this.#seen.lookedAt = look;
    try {
      this.#table.lookedAt = look;
    } catch (error) {
      // The database has told of it itself; deletions of the time in between only become less exact.
      this.#options.log.debug({ err: error }, 'The time of the last look could not be saved');
    }
  }
}
