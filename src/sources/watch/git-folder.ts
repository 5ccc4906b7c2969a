import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Clock } from '../../platform/clock.js';

/** Where `.git` is looked for again when there was none, or it moved. */
const LOOK_AGAIN_MS = 5_000;
/** A rebase counts as being at work for this long after it moved HEAD or the index. */
const REBASE_STEP_MS = 2_000;
/** No lock is waited for longer than this. */
const LONGEST_LOCK_MS = 60_000;

/** The repository that a project lies in. */
export interface Repository {
  /** The top of the working tree. */
  top: string;
  /** Its own git folder: `.git`, or where the file `.git` of a worktree points. */
  folder: string;
  /** The project within the working tree, with `/`; empty where it is the top. */
  prefix: string;
}

export function findRepository(root: string): Repository | undefined {
  for (let top = root; ; top = dirname(top)) {
    const folder = gitFolderOf(top);
    if (folder !== undefined) return { top, folder, prefix: relative(top, root).replaceAll('\\', '/') };
    if (top === dirname(top)) return undefined;
  }
}

function gitFolderOf(top: string): string | undefined {
  const path = join(top, '.git');
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!stats.isFile()) return path;
    const pointer = /^gitdir: (.+)$/m.exec(readFileSync(path, 'utf8'))?.[1];
    return pointer === undefined ? undefined : resolve(top, pointer.trim());
  } catch {
    // Not ours to read: then it is no repository to us either.
    return undefined;
  }
}

/** Tells whether git is changing the working tree just now. */
export class GitActivity {
  readonly #root: string;
  readonly #clock: Clock;
  #repository: Repository | undefined;
  #lookedAt = -Infinity;

  constructor(root: string, clock: Clock) {
    this.#root = root;
    this.#clock = clock;
  }

  /** A checkout, merge or the like holds the lock of the index; a rebase also works between its locks. */
  isBusy(): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt > LOOK_AGAIN_MS) {
      this.#repository = findRepository(this.#root);
      this.#lookedAt = now;
    }
    const folder = this.#repository?.folder;
    if (folder === undefined) return false;
    return this.#holdsLock(folder) || this.#rebases(folder);
  }

  /** A git that was killed leaves its lock behind: an old one would hold up every change for nothing. */
  #holdsLock(folder: string): boolean {
    const lock = join(folder, 'index.lock');
    if (!existsSync(lock)) return false;
    const stats = lstatSync(lock, { throwIfNoEntry: false });
    return stats !== undefined && this.#clock.now() - stats.ctimeMs < LONGEST_LOCK_MS;
  }

  #rebases(folder: string): boolean {
    if (!existsSync(join(folder, 'rebase-merge')) && !existsSync(join(folder, 'rebase-apply'))) return false;
    const since = this.#clock.now() - REBASE_STEP_MS;
    return ['HEAD', 'index'].some((name) => {
      const stats = lstatSync(join(folder, name), { throwIfNoEntry: false });
      return stats !== undefined && stats.ctimeMs > since;
    });
  }
}
