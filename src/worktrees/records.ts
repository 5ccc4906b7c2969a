import { lstatSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../platform/atomic-file.js';
import { makeFolder } from '../platform/make-folder.js';
import type { ProcessIdentity } from '../platform/process-identity.js';
import { AiwgdError } from '../protocol/errors.js';
import type { BytePath } from './byte-paths.js';
import { isBranchOf } from './repository.js';

export interface CopiedFile {
  path: BytePath;
  sha256: string;
}

export interface SubmoduleRecord {
  path: BytePath;
  /** As it was checked out. */
  commit: string;
}

/** What is kept of a worktree, beside it. */
export interface WorktreeRecord {
  version: 1;
  /** The task that it belongs to: the first one of its conversation. */
  owner: string;
  /** When that task was submitted; null where nobody said. */
  taskCreatedAt: string | null;
  /** The conversation whose tasks work in it: its first task may be forgotten before it ends. Null for none. */
  conversation: string | null;
  branch: string;
  /** The commit from which the task started. */
  base: string;
  /** While it is `making`, no agent has worked in it. */
  state: 'making' | 'ready';
  /** Whether the branch is being made with it. */
  newBranch: boolean;
  /** Name of its folder in the repository's `worktrees`; null until git has made it. */
  admin: string | null;
  /** The git that is at work on it while it is being made. */
  worker: ProcessIdentity | null;
  copied: CopiedFile[];
  submodules: SubmoduleRecord[];
  createdAt: string;
  /** The newest commit of it that was merged; null for none. */
  mergedHead: string | null;
}

const OWNER = /^task-\d{4,15}$/u;

/** Throws INVALID_PARAMS for what no task is called: the name becomes a path and a branch. */
export function checkOwner(owner: string): void {
  if (OWNER.test(owner)) return;
  throw new AiwgdError('INVALID_PARAMS', `${JSON.stringify(owner)} is no id of a task.`);
}

const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/u;

/** What is in a record becomes paths and words for git: it may have come with a repository that was cloned. */
function checkRecord(record: Partial<WorktreeRecord>, owner: string): asserts record is WorktreeRecord {
  const { version, base, mergedHead, branch, state, admin, copied, submodules } = record;
  if (version !== 1 || record.owner !== owner) throw new Error('it is of another kind');
  const wrong = Object.entries({
    base: !isCommit(base),
    mergedHead: mergedHead !== null && !isCommit(mergedHead),
    branch: !isBranchOf(owner, branch),
    state: state !== 'making' && state !== 'ready',
    admin: admin !== null && !(isInner(admin) && !admin.includes('/')),
    copied: !Array.isArray(copied) || !copied.every(({ path }) => isInner(path)),
    submodules: !Array.isArray(submodules) || !submodules.every(({ path }) => isInner(path)),
  }).find(([, isWrong]) => isWrong);
  if (wrong !== undefined) throw new Error(`its ${wrong[0]} is none`);
}

function isCommit(value: unknown): boolean {
  return typeof value === 'string' && COMMIT.test(value);
}

/** A path that leads nowhere but further in. */
function isInner(path: unknown): path is BytePath {
  if (typeof path !== 'string' || path.includes('\0')) return false;
  return path.split('/').every((name) => !['', '.', '..'].includes(name));
}

/** The folder of worktrees, and their records. */
export class WorktreeRecords {
  /** `.aiwg/working` of the project. */
  readonly folder: string;

  constructor(aiwg: string) {
    this.folder = join(aiwg, 'working');
  }

  pathOf(owner: string): string {
    return join(this.folder, owner);
  }

  /** Makes the folder, which git passes over. Throws the system's error, or CONFLICT where it leads elsewhere. */
  makeFolder(): void {
    makeFolder(this.folder, 0o700);
    if (lstatSync(this.folder).isSymbolicLink()) {
      throw new AiwgdError(
        'INVALID_PARAMS',
        `${this.folder} is a symbolic link; make it a folder: worktrees are made and removed in it.`,
      );
    }
    writeFileSync(join(this.folder, '.gitignore'), '*\n');
  }

  /** The folder as git knows it. */
  realPathOf(owner: string): string {
    return join(realpathSync(this.folder), owner);
  }

  /** Undefined where there is none. Throws CONFLICT where it cannot be read. */
  read(owner: string): WorktreeRecord | undefined {
    const path = this.#recordOf(owner);
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unreadable(path, error);
    }
    try {
      const record = JSON.parse(text) as Partial<WorktreeRecord>;
      checkRecord(record, owner);
      return record;
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  /** On disk when it returns, also after a power cut. */
  write(record: WorktreeRecord): void {
    writeFileAtomic(this.#recordOf(record.owner), `${JSON.stringify(record, null, 2)}\n`, { durable: true });
  }

  remove(owner: string): void {
    rmSync(this.#recordOf(owner), { force: true });
  }

  /** Owners of all records, in the order of their ids. */
  owners(): string[] {
    let names: string[];
    try {
      names = readdirSync(this.folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return names
      .filter((name) => name.endsWith('.json'))
      .map((name) => name.slice(0, -'.json'.length))
      .filter((name) => OWNER.test(name))
      .toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
  }

  #recordOf(owner: string): string {
    return join(this.folder, `${owner}.json`);
  }
}

function unreadable(path: string, cause: unknown): AiwgdError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AiwgdError(
    'CONFLICT',
    `${path}, the record of a worktree, cannot be read (${reason}). Save what the worktree beside it holds, then remove both.`,
    { cause },
  );
}
