import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import type { Git } from './git.js';

/** The repository that a project lies in. */
export interface Repository {
  /** Top of the project's checkout. */
  top: string;
  /** Git folder of this checkout. */
  gitDir: string;
  /** What all of its worktrees share. */
  commonDir: string;
  /** The project's folder. */
  project: string;
}

/** Branches of tasks; no others are ever made or removed. */
export const BRANCH_PREFIX = 'aiwg/';
const SUFFIX_DIGITS = 8;
const OTHER = /^-[0-9a-f]{8}$/u;

export function branchOf(owner: string): string {
  return `${BRANCH_PREFIX}${owner}`;
}

/** Where that is taken: by a person, by an earlier task of the same id, or by another project in the same repository. */
export function otherBranchOf(owner: string, project: string): string {
  const suffix = createHash('sha256').update(project).digest('hex').slice(0, SUFFIX_DIGITS);
  return `${branchOf(owner)}-${suffix}`;
}

/** Whether a task of this id may have a branch of that name. */
export function isBranchOf(owner: string, branch: unknown): boolean {
  if (typeof branch !== 'string' || !branch.startsWith(branchOf(owner))) return false;
  const rest = branch.slice(branchOf(owner).length);
  return rest === '' || OTHER.test(rest);
}

export function refOf(branch: string): string {
  return `refs/heads/${branch}`;
}

/** Throws INVALID_PARAMS with the remedy where the project lies in no repository with a checkout. */
export async function findRepository(git: Git, project: string): Promise<Repository> {
  const ask = async (what: string): Promise<string> => {
    const { code, stdout, stderr } = await git.run({
      cwd: project,
      args: ['rev-parse', '--path-format=absolute', what],
    });
    if (code === 0) return realpathSync(stdout.toString('utf8').replace(/\n$/u, ''));
    throw new AiwgdError(
      'INVALID_PARAMS',
      `Tasks in worktrees need a git repository, and git does not take ${project} for one (${stderr.trim()}). Make it one with git init and a first commit, or set the isolation of the agent to none.`,
    );
  };
  return {
    top: await ask('--show-toplevel'),
    gitDir: await ask('--git-dir'),
    commonDir: await ask('--git-common-dir'),
    project: realpathSync(project),
  };
}

/** The commit that a name stands for; null for none. */
export function commitOf(git: Git, cwd: string, name: string): Promise<string | null> {
  return git.lineOrNull({
    cwd,
    args: ['rev-parse', '--verify', '--quiet', `${name}^{commit}`],
  });
}

/**
 * The folder in which an agent works, relative to the top of the repository. `cwd` is the task's folder, null for the
 * project. Throws INVALID_PARAMS for a folder outside of the repository, or within another worktree.
 */
export function folderWithin({ top, project }: Repository, cwd: string | null): string {
  const folder = cwd === null ? project : realpathSync(cwd);
  const path = relative(top, folder);
  const refuse = (why: string): AiwgdError =>
    new AiwgdError(
      'INVALID_PARAMS',
      `The folder ${folder} ${why}; a task in a worktree works in a folder of its own repository, ${top}.`,
    );
  if (path === '..' || path.startsWith('../')) throw refuse('lies outside of the repository');
  if (!relative(join(project, '.aiwg', 'working'), folder).startsWith('..'))
    throw refuse('is a worktree itself');
  return path;
}

const OPERATIONS = {
  MERGE_HEAD: 'a merge',
  'rebase-merge': 'a rebase',
  'rebase-apply': 'a rebase',
  CHERRY_PICK_HEAD: 'a cherry-pick',
  REVERT_HEAD: 'a revert',
  BISECT_LOG: 'a bisect',
  sequencer: 'a sequence of picks',
} as const;

/** What git was asked to do in a checkout and has not ended; undefined for nothing. */
export function unfinishedOperation(gitDir: string): string | undefined {
  return Object.entries(OPERATIONS).find(([name]) => existsSync(join(gitDir, name)))?.[1];
}

/** Whether a commit of `tips` is reachable from no branch, tag or remote branch but those of tasks. */
export async function holdsOwnCommits(
  git: Git,
  cwd: string,
  tips: readonly string[],
  except: readonly string[] = [],
): Promise<boolean> {
  if (tips.length === 0) return false;
  const others = [`--exclude=${BRANCH_PREFIX}*`, '--branches', '--tags', '--remotes'];
  const found = await git.line({
    cwd,
    args: ['rev-list', '--max-count=1', ...tips, '--not', ...except, ...others],
  });
  return found !== '';
}

/** Whether no branch at all, tag or remote branch has the commit. */
export async function isInNoBranch(git: Git, cwd: string, commit: string): Promise<boolean> {
  const args = ['rev-list', '--max-count=1', commit, '--not', '--branches', '--tags', '--remotes'];
  return (await git.line({ cwd, args })) !== '';
}
