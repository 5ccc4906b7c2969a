import type { Stats } from 'node:fs';
import { within } from './byte-path.js';
import type { DirectoryWatches } from './directory-watches.js';
import { entryOf, type FileEntry, sameEntry } from './file-entry.js';
import { type Directory, type FileTree, walk } from './file-tree.js';
import type { FileKind, FolderListing, FolderReader } from './folder-reader.js';
import type { SeenFiles } from './seen-files.js';
import { Place, type WatchView } from './watch-view.js';

/**
 * What a file is that nobody knew. `new`: it was made just now. `view`: it came into view by a change of the
 * configuration or of a `.gitignore`, unless it would have been in view before. `start`: what was known before this start decides.
 */
export type ScanReason = 'new' | 'view' | 'start';

export interface ScanRequest {
  reason: ScanReason;
  /** Also watch and look at all folders beneath anew, though they seem to be the same as ever. */
  deep: boolean;
  /** Wall time from which on nobody could read the folder: what is older than that is not new. */
  unreadSince?: number | undefined;
  /** Wall time at which the folder, or one above it, was told of. */
  at?: number | undefined;
}

export interface TreeScanOptions {
  tree: FileTree;
  reader: FolderReader;
  watches: DirectoryWatches;
  seen: SeenFiles;
  /** There is work. */
  wake: () => void;
}

/** Files between two points where the work may be interrupted. */
const STEP = 32;

/** A folder that is being looked at. */
interface Visit extends ScanRequest {
  directory: Directory;
  place: Place;
  /** What was in view in it before. */
  last: Place | undefined;
}

/** Keeps the tree as the disk is: looks at names that events speak of, and at whole folders, in small steps. */
export class TreeScan {
  readonly #options: TreeScanOptions;
  /** Names of which something was heard, with the wall time. */
  #checks = new Map<Directory, Map<string, number>>();
  readonly #scans = new Map<Directory, ScanRequest>();
  readonly #buried: { gone: Directory[]; at: number | undefined }[] = [];
  #view: WatchView;

  constructor(options: TreeScanOptions, view: WatchView) {
    this.#options = options;
    this.#view = view;
  }

  /** From the next scan on. */
  set view(view: WatchView) {
    this.#view = view;
  }

  /** Look whether a name in a folder stands for a folder, a file or nothing by now. */
  check(directory: Directory, name: string, at: number): void {
    const names = this.#checks.get(directory);
    if (names === undefined) this.#checks.set(directory, new Map([[name, at]]));
    else if (!names.has(name)) names.set(name, at);
    this.#options.wake();
  }

  /** Look at a whole folder. */
  scan(directory: Directory, request: ScanRequest): void {
    const waiting = this.#scans.get(directory);
    // While a start lasts, it alone tells what is new; and what was about to come into view is not new by another event.
    const reason = this.#options.seen.start === undefined ? (waiting?.reason ?? request.reason) : 'start';
    const deep = request.deep || waiting?.deep === true;
    this.#scans.set(directory, {
      reason,
      deep,
      unreadSince: request.unreadSince ?? waiting?.unreadSince,
      at: waiting?.at ?? request.at,
    });
    this.#options.wake();
  }

  /** The next piece of work. Names before folders: they are what somebody waits for. */
  next(): Generator<void> | undefined {
    if (this.#checks.size > 0) {
      const checks = this.#checks;
      this.#checks = new Map();
      return this.#checkAll(checks);
    }
    const buried = this.#buried.shift();
    if (buried !== undefined) return this.#reportBuried(buried);
    for (const [directory, request] of this.#scans) {
      this.#scans.delete(directory);
      return this.#scanFolder(directory, request);
    }
    return undefined;
  }

  *#checkAll(checks: ReadonlyMap<Directory, ReadonlyMap<string, number>>): Generator<void> {
    let count = 0;
    for (const [directory, names] of checks) {
      for (const [name, at] of names) {
        this.#checkName(directory, name, at);
        count += 1;
        if (count % STEP === 0) yield;
      }
    }
  }

  #checkName(directory: Directory, name: string, at: number): void {
    const { seen } = this.#options;
    const { place } = directory;
    // Of a folder that is gone all has been said.
    if (place === undefined) return;
    const path = within(directory.path, name);
    const stats = this.#options.reader.lookAt(path);
    if (stats === 'unknown') return;
    const inner = directory.directories.get(name);
    if (stats !== 'gone' && stats.isDirectory()) {
      if (place.entersFolder(name)) this.scan(directory.inner(name), { reason: 'new', deep: false, at });
    } else if (inner?.place !== undefined) {
      this.bury(inner, at);
    }
    const isFile = stats !== 'gone' && entryOf(stats) !== undefined;
    if (directory.files.has(name) || (isFile && place.showsFile(name))) seen.changed(path, at);
  }

  *#scanFolder(directory: Directory, request: ScanRequest): Generator<void> {
    const { parent, name } = directory;
    if (parent !== undefined && parent.directories.get(name) !== directory) {
      // Dropped when nothing was known of it; it has come back since.
      if (parent.place !== undefined) this.scan(parent.inner(name), request);
      return;
    }
    yield* this.#scanKnown(directory, request);
  }

  *#scanKnown(directory: Directory, request: ScanRequest): Generator<void> {
    const { reader, seen, watches } = this.#options;
    // First the watch, then the look: what happens in between is told twice rather than not at all.
    const attached = watches.attach(directory);
    const found = attached ? reader.read(directory, this.#view.leadingNames(directory.path)) : 'gone';
    if (found === 'unknown') {
      if (directory.place === undefined) watches.detach(directory);
      return;
    }
    if (found === 'gone') {
      this.#vanished(directory);
      return;
    }
    const { stats, listing } = found;
    const other = directory.inode !== stats.ino || directory.birth !== stats.birthtimeMs;
    const last = directory.place;
    const place = this.#placeOf(directory, listing.ignoreText, last);
    if (place === undefined) {
      this.leave(directory);
      return;
    }
    directory.place = place;
    directory.inode = stats.ino;
    directory.birth = stats.birthtimeMs;
    const deep = request.deep || other || place !== last;
    const unreadSince = directory.unreadSince ?? request.unreadSince;
    directory.unreadSince = listing.readable ? undefined : (unreadSince ?? seen.now());
    yield* this.#compare({ ...request, directory, place, last, deep, unreadSince }, listing);
  }

  /** Gone, or something else by now: that needs another look, from above. */
  #vanished(directory: Directory): void {
    this.bury(directory);
    if (directory.parent?.place !== undefined) {
      this.check(directory.parent, directory.name, this.#options.seen.now());
    }
  }

  #placeOf(directory: Directory, ignoreText: string | undefined, last: Place | undefined): Place | undefined {
    if (directory.parent === undefined) return Place.root(this.#view, ignoreText, last);
    const outer = directory.parent.place;
    return outer?.entersFolder(directory.name) ? outer.inner(directory.name, ignoreText, last) : undefined;
  }

  *#compare(visit: Visit, { names }: FolderListing): Generator<void> {
    const { directory, place } = visit;
    const listed = directory.files.size + directory.directories.size > 0 ? new Set<string>() : undefined;
    let count = 0;
    for (const { name, kind } of names) {
      listed?.add(name);
      if (kind === 'folder') this.#compareFolder(visit, name);
      else this.#compareFile(visit, name, kind);
      count += 1;
      if (count % STEP === 0) yield;
      if (directory.place !== place) return;
    }
    if (listed === undefined) return;
    for (const name of directory.files.keys()) if (!listed.has(name)) this.#missingFile(visit, name);
    for (const inner of directory.directories.values()) {
      if (!listed.has(inner.name)) this.#missingFolder(visit, inner);
    }
  }

  #missingFile({ directory, place, reason }: Visit, name: string): void {
    const { seen } = this.#options;
    const path = within(directory.path, name);
    if (!place.mayShow(name)) seen.drop(directory, name);
    else if (reason === 'start') seen.missingAtStart(directory, name);
    else if (this.#options.reader.lookAt(path) === 'gone') seen.foundChanged(path);
  }

  #missingFolder({ place }: Visit, inner: Directory): void {
    if (!place.entersFolder(inner.name)) this.leave(inner);
    // What was made after the list was read has its own event.
    else if (inner.place !== undefined && this.#options.reader.lookAt(inner.path) === 'gone')
      this.bury(inner);
  }

  #compareFolder({ directory, place, last, ...request }: Visit, name: string): void {
    const path = within(directory.path, name);
    if (directory.files.has(name)) this.#options.seen.foundChanged(path);
    const known = directory.directories.get(name);
    if (!place.entersFolder(name)) {
      if (known !== undefined) this.leave(known);
      return;
    }
    if (known?.place === undefined) {
      const isNew = request.reason === 'view' && last?.entersFolder(name) === true;
      const reason = isNew ? 'new' : request.reason;
      this.scan(directory.inner(name), { ...request, reason, deep: false });
    } else if (request.deep || this.#isOther(known)) {
      this.scan(known, request);
    }
  }

  /** Whether the name stands for another folder than the one that is watched. */
  #isOther(directory: Directory): boolean {
    const stats = this.#options.reader.lookAt(directory.path);
    return (
      typeof stats === 'string' || stats.ino !== directory.inode || stats.birthtimeMs !== directory.birth
    );
  }

  #compareFile(visit: Visit, name: string, kind: Exclude<FileKind, 'folder'>): void {
    const { seen } = this.#options;
    const { directory, place } = visit;
    const path = within(directory.path, name);
    const inner = directory.directories.get(name);
    if (inner?.place !== undefined) this.bury(inner);
    const known = directory.files.get(name);
    if (!place.showsFile(name)) {
      if (known !== undefined || seen.waits(path)) seen.drop(directory, name);
      return;
    }
    const stats = kind === 'file' ? this.#options.reader.lookAt(path) : 'gone';
    if (stats === 'unknown') return;
    const entry = stats === 'gone' ? undefined : entryOf(stats);
    if (stats !== 'gone' && entry !== undefined) this.#compareEntry(visit, name, stats, entry);
    else if (known !== undefined) seen.foundChanged(path);
  }

  #compareEntry(
    { directory, last, reason, unreadSince, at }: Visit,
    name: string,
    stats: Stats,
    entry: FileEntry,
  ): void {
    const { seen } = this.#options;
    const known = directory.files.get(name);
    const path = within(directory.path, name);
    if (known !== undefined) {
      if (sameEntry(known, entry)) return;
      if (reason === 'start') seen.changedAtStart(directory, name, stats);
      else seen.foundChanged(path, stats, at);
    } else if (seen.waits(path)) {
      // There was an event of it.
      return;
    } else if (reason === 'start') {
      seen.unknownAtStart(directory, name, stats);
    } else if (unreadSince !== undefined && stats.birthtimeMs < unreadSince) {
      seen.adopt(directory, name, stats);
    } else if (reason === 'new' || last?.showsFile(name) === true) {
      seen.foundChanged(path, stats, at);
    } else {
      seen.adopt(directory, name, stats);
    }
  }

  /** A folder is gone, with all that was in it, as was heard at wall time `at` or found just now. */
  bury(directory: Directory, at?: number): void {
    const gone = [...walk(directory)];
    for (const one of gone) this.#forgetFolder(one);
    this.#buried.push({ gone, at });
    this.#options.wake();
  }

  *#reportBuried({ gone, at }: { gone: Directory[]; at: number | undefined }): Generator<void> {
    const { seen, tree } = this.#options;
    let count = 0;
    // The innermost first, so that empty ones can be dropped.
    for (const directory of gone.toReversed()) {
      for (const name of directory.files.keys()) {
        const path = within(directory.path, name);
        if (at === undefined) seen.foundChanged(path);
        else seen.changed(path, at);
        count += 1;
        if (count % STEP === 0) yield;
      }
      tree.prune(directory);
    }
  }

  /** A folder is out of view, which is no event. */
  leave(directory: Directory): void {
    const { seen, tree } = this.#options;
    const left = [...walk(directory)];
    for (const out of left) {
      this.#forgetFolder(out);
      for (const name of out.files.keys()) seen.drop(out, name);
    }
    seen.dropWithin(directory.path);
    for (const out of left.toReversed()) tree.prune(out);
  }

  #forgetFolder(directory: Directory): void {
    this.#options.watches.detach(directory);
    this.#options.reader.forget(directory.path);
    this.#scans.delete(directory);
    directory.place = undefined;
    directory.inode = 0;
  }
}
