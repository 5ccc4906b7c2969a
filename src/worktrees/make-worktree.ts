import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { Clock } from '../platform/clock.js';
import { identityOf } from '../platform/process-identity.js';
import { AiwgdError } from '../protocol/errors.js';
import { copyFiles } from './copied-files.js';
import type { Git } from './git.js';
import { asFound, dropMissing, makeBranch, markHalfMade, takeAway } from './half-made.js';
import { mendLinks } from './mend-links.js';
import { linkState, placeOf, releaseHead } from './place.js';
import type { WorktreeRecord, WorktreeRecords } from './records.js';
import {
  branchOf,
  commitOf,
  findRepository,
  folderWithin,
  otherBranchOf,
  type Repository,
  refOf,
} from './repository.js';
import { checkOutSubmodules } from './submodules.js';
import type { Turns } from './turns.js';

export interface WorkspaceRequest {
  owner: string;
  cwd: string | null;
  /**
   * When the owner was submitted. Where ids begin anew (the daemon's database was removed), an earlier task of the same id
   * may have left a worktree: that is not given to another one.
   */
  createdAt?: string | null;
  /** The conversation that works in it; null for none. */
  conversation?: string | null;
  options: { submodules: boolean; untracked: 'none' | 'copy'; copy: readonly string[] };
}

export interface Workshop {
  git: Git;
  clock: Clock;
  records: WorktreeRecords;
  /** The project's folder. */
  project: string;
  /** Of what git locks for a moment: one change of a repository at a time. */
  turns: Turns;
}

const CHECKOUT_TIMEOUT_MS = 600_000;

/** Makes the worktree of a task, or finds it. Call it for one owner at a time. */
export async function prepareWorktree(
  shop: Workshop,
  { owner, cwd, createdAt = null, conversation = null, options }: WorkspaceRequest,
): Promise<{ folder: string; path: string }> {
  const { git, records } = shop;
  const repository = await findRepository(git, shop.project);
  const inside = folderWithin(repository, cwd);
  records.makeFolder();
  const path = records.realPathOf(owner);
  const record = readAsFound(records, repository, owner, path);
  checkSameTask(record, createdAt, path);
  if (record?.state === 'making') await takeAway(shop, repository, record);
  if (record?.state !== 'ready' || !(await isUsable(shop, repository, record, path))) {
    await makeAnew(shop, { repository, path, owner, createdAt, record, options });
  }
  noteConversation(records, owner, conversation);
  return { folder: workFolder(path, inside), path };
}

function readAsFound(
  records: WorktreeRecords,
  repository: Repository,
  owner: string,
  path: string,
): WorktreeRecord | undefined {
  const known = records.read(owner);
  if (known === undefined) return undefined;
  const record = asFound(repository, known, path);
  if (record !== known) records.write(record);
  return record;
}

function noteConversation(records: WorktreeRecords, owner: string, conversation: string | null): void {
  const made = records.read(owner);
  if (made === undefined || conversation === null || made.conversation === conversation) return;
  records.write({ ...made, conversation });
}

/** Throws INVALID_PARAMS where the worktree is another task's than the one that was submitted at this time. */
export function checkSameTask(
  record: WorktreeRecord | undefined,
  createdAt: string | null,
  path: string,
): void {
  const known = record?.taskCreatedAt ?? null;
  if (record === undefined || known === null || createdAt === null || known === createdAt) return;
  throw invalid(
    `${path} is the worktree of an earlier task of this id, from ${known}: ids began anew. Merge what you need of it (git merge ${record.branch}), remove it (aiwgd worktree prune), then retry the task.`,
  );
}

/** Whether the worktree is there; links that were broken (a project that was moved or copied) are mended. */
async function isUsable(
  { git, turns }: Workshop,
  repository: Repository,
  record: WorktreeRecord,
  path: string,
): Promise<boolean> {
  const place = placeOf(record, repository, path);
  if (!place.present) return false;
  if (place.adminDir === null) {
    throw invalid(
      `${path} is no worktree of ${repository.top} any more. Save what you need of it and move it away; then the task can have a new one.`,
    );
  }
  releaseHead(place);
  if (['broken', 'copied'].includes(linkState(place))) {
    await turns.take(repository.commonDir, () => mendLinks(git, place, record));
  }
  return true;
}

interface Making {
  repository: Repository;
  path: string;
  owner: string;
  createdAt: string | null;
  /** Of an earlier one in its place. */
  record: WorktreeRecord | undefined;
  options: WorkspaceRequest['options'];
}

async function makeAnew(shop: Workshop, making: Making): Promise<void> {
  const { git, clock, records, turns } = shop;
  const { repository, path, owner, createdAt, record: before } = making;
  const head = await commitOf(git, repository.project, 'HEAD');
  if (head === null) {
    throw invalid(
      `The repository ${repository.top} has no commit yet; a worktree begins with one. Commit first.`,
    );
  }
  const branch = before?.branch ?? (await freeBranch(git, repository, owner));
  const tip = await commitOf(git, repository.top, refOf(branch));
  checkFree(path, branch, tip !== null && before === undefined);
  await turns.take(repository.commonDir, () => dropMissing(git, repository, path));
  const record: WorktreeRecord = {
    version: 1,
    owner,
    taskCreatedAt: createdAt,
    branch,
    base: tip === null || before === undefined ? head : before.base,
    state: 'making',
    conversation: before?.conversation ?? null,
    newBranch: tip === null,
    admin: null,
    worker: null,
    copied: [],
    submodules: [],
    createdAt: new Date(clock.now()).toISOString(),
    mergedHead: before?.mergedHead ?? null,
  };
  records.write(record);
  try {
    await build(shop, making, record);
  } catch (error) {
    // Where that fails too (the daemon stops, say), the record says so, and the next call begins with it.
    await takeAway(shop, repository, record).catch(() => undefined);
    throw error;
  }
}

async function build(
  { git, records, turns }: Workshop,
  { repository, path, options }: Making,
  record: WorktreeRecord,
): Promise<void> {
  const { top, commonDir } = repository;
  // The next daemon ends a git that a killed one left at work here.
  const onStart = (pid: number): void => {
    record.worker = identityOf(pid) ?? null;
    records.write(record);
  };
  await turns.take(commonDir, async () => {
    if (record.newBranch) await makeBranch(git, repository, record, path);
    const args = ['worktree', 'add', '--quiet', '--no-checkout', '--', path, record.branch];
    await git.ok({ cwd: top, args, onStart });
  });
  record.admin = await adminNameOf(git, repository, path);
  const made = markHalfMade(join(commonDir, 'worktrees', record.admin));
  await git.ok({
    cwd: path,
    args: ['reset', '--quiet', '--hard'],
    timeoutMs: CHECKOUT_TIMEOUT_MS,
    onStart,
  });
  const trees = { source: top, target: path };
  if (options.submodules) {
    record.submodules = await turns.take(commonDir, () => checkOutSubmodules(git, trees, onStart));
  }
  record.copied = await copyFiles(git, repository, path, options);
  record.worker = null;
  record.state = 'ready';
  records.write(record);
  made();
}

async function adminNameOf(git: Git, { commonDir }: Repository, path: string): Promise<string> {
  const found = realpathSync(
    await git.line({ cwd: path, args: ['rev-parse', '--path-format=absolute', '--git-dir'] }),
  );
  if (dirname(found) === join(commonDir, 'worktrees')) return basename(found);
  throw new AiwgdError('CONFLICT', `git made ${path}, but keeps it in ${found}, not in ${commonDir}.`);
}

/** A name that nobody has: two projects in one repository count their tasks alike. */
async function freeBranch(git: Git, { top, project }: Repository, owner: string): Promise<string> {
  const taken = await commitOf(git, top, refOf(branchOf(owner)));
  return taken === null ? branchOf(owner) : otherBranchOf(owner, project);
}

/** An empty folder is nobody's work. */
function checkFree(path: string, branch: string, foreignBranch: boolean): void {
  if (foreignBranch) {
    throw invalid(
      `There is a branch ${branch} that the daemon did not make. Rename it (git branch -m ${branch} NAME), or give the task to an agent without isolation.`,
    );
  }
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined || (stats.isDirectory() && readdirSync(path).length === 0)) return;
  throw invalid(`${path} is there, but the daemon has no record of making it. Move it away.`);
}

/** The folder in the worktree, made where the commit lacks it. Throws INVALID_PARAMS where a link leads out of it. */
function workFolder(path: string, inside: string): string {
  const folder = join(path, inside);
  let nearest = folder;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  if (relative(path, realpathSync(nearest)).startsWith('..')) {
    throw invalid(`${folder} leads out of the worktree; give the task a folder that is none behind a link.`);
  }
  mkdirSync(folder, { recursive: true });
  return folder;
}

function invalid(message: string): AiwgdError {
  return new AiwgdError('INVALID_PARAMS', message);
}
