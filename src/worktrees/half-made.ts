import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { sleep } from '../platform/clock.js';
import { isAlive } from '../platform/process-identity.js';
import { AiwgdError } from '../protocol/errors.js';
import { whyBranchStays } from './branch-use.js';
import type { Git } from './git.js';
import type { Workshop } from './make-worktree.js';
import { placeOf, textIn } from './place.js';
import type { WorktreeRecord } from './records.js';
import { commitOf, isInNoBranch, type Repository, refOf } from './repository.js';

const END_POLL_MS = 20;
/** Lies in what git keeps of a worktree while the daemon makes it. */
const MARK = 'aiwgd-making';
const NO_COMMIT = '0'.repeat(40);

export function markHalfMade(adminDir: string): () => void {
  const mark = join(adminDir, MARK);
  writeFileSync(mark, '');
  return () => rmSync(mark, { force: true });
}

/** Makes the branch of a task, with a word in its log that tells whose it is. Rejects where there is one already. */
export async function makeBranch(
  git: Git,
  { top }: Repository,
  record: WorktreeRecord,
  path: string,
): Promise<void> {
  const ref = refOf(record.branch);
  const args = ['update-ref', '--create-reflog', '-m', beginOf(path), ref, record.base, NO_COMMIT];
  await git.ok({ cwd: top, args });
}

/**
 * The record, or where it says that the worktree is being made and a person has put another one in its place since, as one
 * that is ready: what is in there may be work.
 */
export function asFound(repository: Repository, record: WorktreeRecord, path: string): WorktreeRecord {
  if (record.state === 'ready' || !existsSync(path)) return record;
  if (readdirSync(path).every((name) => name === '.git')) return record;
  const adminDir = adminDirOf(repository, path);
  if (adminDir !== undefined && existsSync(join(adminDir, MARK))) return record;
  const admin = adminDir === undefined ? null : basename(adminDir);
  return { ...record, state: 'ready', admin, worker: null };
}

/**
 * Removes what was begun and in which nobody has worked, and answers null. Where the branch or the folder must stay, so does
 * the record, and the answer is why.
 */
export async function takeAway(
  { git, clock, records, turns }: Workshop,
  repository: Repository,
  record: WorktreeRecord,
): Promise<string | null> {
  const { owner, worker } = record;
  if (worker !== null && isAlive(worker)) {
    process.kill(worker.pid, 'SIGKILL');
    while (isAlive(worker)) await sleep(clock, END_POLL_MS);
  }
  const path = records.realPathOf(owner);
  if (asFound(repository, record, path) !== record) return 'its folder is not as the daemon began it';
  await rm(path, { recursive: true, force: true, maxRetries: 5 });
  return turns.take(repository.commonDir, async () => {
    await dropMissing(git, repository, path);
    const stays = await removeBranch(git, repository, record, path);
    if (stays === null) records.remove(owner);
    return stays;
  });
}

/** Null where it is gone, or was never the daemon's; else why it stays. */
async function removeBranch(
  git: Git,
  repository: Repository,
  record: WorktreeRecord,
  path: string,
): Promise<string | null> {
  const { base, branch, newBranch } = record;
  const { top } = repository;
  const tip = await commitOf(git, top, refOf(branch));
  if (tip === null) return null;
  if (newBranch && !(await isOurs(git, top, branch, path))) return null;
  const stays = await whyBranchStays(git, placeOf(record, repository, path));
  if (stays !== null) return stays;
  if (tip !== base) return `${branch} has moved on`;
  await git.ok({ cwd: top, args: ['update-ref', '--no-deref', '-d', refOf(branch), base] });
  return null;
}

/** Another project in the same repository may have made the branch in the same moment. */
async function isOurs(git: Git, cwd: string, branch: string, path: string): Promise<boolean> {
  const log = await git.ok({ cwd, args: ['reflog', 'show', '--format=%gs', refOf(branch), '--'] });
  return log.toString('utf8').trimEnd().split('\n').at(-1) === beginOf(path);
}

/** A log has a line for each entry. */
function beginOf(path: string): string {
  return `aiwgd: ${encodeURI(path)}`;
}

/**
 * What git kept of a worktree whose folder is gone would be in the way. Throws CONFLICT where that is all that leads to
 * commits of it.
 */
export async function dropMissing(git: Git, repository: Repository, path: string): Promise<void> {
  const { top } = repository;
  const adminDir = existsSync(path) ? undefined : adminDirOf(repository, path);
  if (adminDir === undefined) return;
  const at = { cwd: top, env: { GIT_DIR: adminDir } };
  const onBranch = await git.lineOrNull({ ...at, args: ['symbolic-ref', '--quiet', 'HEAD'] });
  const head = await git.lineOrNull({ ...at, args: ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'] });
  if (onBranch === null && head !== null && (await isInNoBranch(git, top, head))) {
    throw new AiwgdError(
      'CONFLICT',
      `The worktree ${path} is gone, and its commit ${head} is in no branch. Keep it with git branch NAME ${head}; then try again.`,
    );
  }
  await git.ok({ cwd: top, args: ['worktree', 'remove', '--', path] });
}

/** What git keeps of the worktree at a place. */
function adminDirOf({ commonDir }: Repository, path: string): string | undefined {
  const all = join(commonDir, 'worktrees');
  const names = existsSync(all) ? readdirSync(all) : [];
  return names
    .map((name) => join(all, name))
    .find((folder) => textIn(join(folder, 'gitdir')) === join(path, '.git'));
}
