import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { WorktreeState } from '../protocol/worktrees.js';
import { whyBranchStays } from './branch-use.js';
import { type BytePath, textOf } from './byte-paths.js';
import { changedCopies } from './copied-files.js';
import type { Git } from './git.js';
import { hasOwnRefs, hiddenFiles } from './hidden.js';
import { nestedRepository } from './nested-repositories.js';
import { linkState, type Place } from './place.js';
import type { WorktreeRecord } from './records.js';
import { commitOf, holdsOwnCommits, refOf, unfinishedOperation } from './repository.js';
import { hiddenInSubmodules, submodulesWithOwnCommits } from './submodules.js';
import { trackedFiles, uncommitted } from './uncommitted.js';

export interface Inspection {
  state: WorktreeState;
  /** Uncommitted and untracked files. */
  changedFiles: number;
  /** Commits since the task started. */
  commits: number;
  /** Where the branch is; null where there is none. */
  tip: string | null;
  /** Where the worktree is, on its branch or not; null where git does not know. */
  head: string | null;
  /** Untracked files that are as they were copied. */
  copies: BytePath[];
  /** Why it must stay; null where removing it destroys nothing. */
  why: string | null;
}

const SHOWN = 3;

/** Looks at a worktree, and changes nothing. */
export async function inspect(git: Git, place: Place, record: WorktreeRecord): Promise<Inspection> {
  const { top } = place.repository;
  const tip = await commitOf(git, top, refOf(record.branch));
  const head = await headOf(git, place);
  const tips = [...new Set([tip, head])].filter((commit) => commit !== null);
  const own = await holdsOwnCommits(git, top, tips);
  const unmerged = own ? `${record.branch} has commits that no other branch has` : null;
  const branchStays = unmerged ?? (await whyBranchStays(git, place));
  const commits = await countCommits(git, top, record.base, tips);
  const found = { tip, head, commits, changedFiles: 0, copies: [] };
  if (!place.present) return { ...found, state: 'missing', why: branchStays };
  if (record.state === 'making') return { ...found, state: 'clean', why: branchStays };
  if (place.adminDir === null) {
    const why = 'git does not know it any more; save what it holds and remove it by hand';
    return { ...found, state: 'dirty', why };
  }
  const { changed, copies } = await uncommitted(git, place, record);
  const why = whyBusy(place) ?? changesText(changed) ?? branchStays ?? (await whyKept(git, place, record));
  const state = changed.length > 0 ? 'dirty' : stateOf(own, commits);
  return { ...found, state, changedFiles: changed.length, copies, why: why ?? null };
}

function stateOf(own: boolean, commits: number): WorktreeState {
  if (own) return 'unmerged';
  return commits > 0 ? 'merged' : 'clean';
}

/** Where the worktree is, on its branch or not. */
async function headOf(git: Git, { adminDir, repository }: Place): Promise<string | null> {
  if (adminDir === null) return null;
  const args = ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'];
  return git.lineOrNull({ cwd: repository.top, env: { GIT_DIR: adminDir }, args });
}

async function countCommits(git: Git, cwd: string, base: string, tips: readonly string[]): Promise<number> {
  if (tips.length === 0 || (await commitOf(git, cwd, base)) === null) return 0;
  return Number(await git.line({ cwd, args: ['rev-list', '--count', ...tips, '--not', base] }));
}

function whyBusy(place: Place): string | undefined {
  const { adminDir } = place;
  if (adminDir === null) return undefined;
  const operation = unfinishedOperation(adminDir);
  if (operation !== undefined) return `${operation} is in progress`;
  if (existsSync(join(adminDir, 'locked'))) return 'it is locked (git worktree unlock)';
  if (existsSync(join(adminDir, 'index.lock'))) return 'git is at work in it';
  const link = linkState(place);
  if (link === 'broken') return 'its .git does not lead to the repository (git worktree repair)';
  if (link === 'copied') {
    return 'its links lead to the one that it was copied from; the next attempt of its task mends them (git worktree repair would mix the two up)';
  }
  return link === 'replaced' ? 'its .git was replaced by a repository of its own' : undefined;
}

function changesText(changed: readonly BytePath[]): string | undefined {
  if (changed.length === 0) return undefined;
  return `uncommitted changes: ${namesText(changed)}`;
}

function namesText(paths: readonly BytePath[]): string {
  const more = paths.length - SHOWN;
  return `${paths.slice(0, SHOWN).map(textOf).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What git's own look at a worktree passes over. */
async function whyKept(git: Git, place: Place, record: WorktreeRecord): Promise<string | undefined> {
  const tracked = await trackedFiles(git, place);
  // What was committed since is in git's hands.
  const edited = (await changedCopies(place.path, record.copied)).filter((path) => !tracked.has(path));
  if (edited.length > 0) return `copied files were changed: ${namesText(edited)}`;
  const hidden = await hiddenFiles(git, place);
  if (hidden.length > 0) return `files are hidden from git (assume-unchanged): ${namesText(hidden)}`;
  if (await hasOwnRefs(git, place)) return 'it has refs of its own (refs/worktree)';
  const trees = { source: place.repository.top, target: place.path };
  const [submodule] = await submodulesWithOwnCommits(git, trees, record.submodules);
  if (submodule !== undefined) return `the submodule ${submodule} has commits that no branch has`;
  const inSubmodules = await hiddenInSubmodules(git, place.path, record.submodules);
  if (inSubmodules !== undefined) return inSubmodules;
  const known = new Set(record.submodules.map(({ path }) => path));
  return nestedRepository(place.path, { known, tracked });
}
