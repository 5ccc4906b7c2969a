import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import type { TaskMerge } from '../protocol/worktrees.js';
import { splitNul, textOf } from './byte-paths.js';
import { filesInTheWay } from './files-in-the-way.js';
import { type Git, GitFailure } from './git.js';
import type { WorktreeRecord } from './records.js';
import { type Repository, unfinishedOperation } from './repository.js';
import { changedFiles } from './task-diff.js';

const MOST_FILES = 10_000;
const MOST_NAMED = 20;
const MERGE_TIMEOUT_MS = 600_000;
const NO_IDENTITY =
  'git does not know who commits. Tell it: git config --global user.name "Your Name", git config --global user.email you@example.com.';
/** Against what `branch.<name>.mergeOptions` and other settings may say; nobody is there to be asked for a passphrase. */
const MERGE = [
  'merge',
  '--quiet',
  '--commit',
  '--no-edit',
  '--no-stat',
  '--no-squash',
  '--no-autostash',
  '--no-gpg-sign',
];

/** Throws CONFLICT where nothing can be merged into the project's checkout now. */
export async function checkProject(git: Git, { top, gitDir }: Repository): Promise<void> {
  if ((await git.lineOrNull({ cwd: top, args: ['symbolic-ref', '--quiet', 'HEAD'] })) === null) {
    throw conflict(`${top} is on no branch (detached HEAD); check the branch out that shall have the work.`);
  }
  const operation = unfinishedOperation(gitDir);
  if (operation !== undefined) throw conflict(`In ${top} ${operation} is in progress; end it first.`);
  if (existsSync(join(gitDir, 'index.lock'))) {
    throw conflict(
      `git is at work in ${top} (${join(gitDir, 'index.lock')} is there); try again when it has ended.`,
    );
  }
  for (const who of ['GIT_AUTHOR_IDENT', 'GIT_COMMITTER_IDENT']) {
    if ((await git.lineOrNull({ cwd: top, args: ['var', who] })) === null) throw conflict(NO_IDENTITY);
  }
}

/**
 * Merges `tip` into what the project has checked out. Throws CONFLICT, with the checkout as it was, where that cannot be.
 */
export async function mergeCommit(
  git: Git,
  repository: Repository,
  { owner, branch }: WorktreeRecord,
  tip: string,
): Promise<TaskMerge> {
  const { top } = repository;
  const head = await git.line({ cwd: top, args: ['rev-parse', 'HEAD'] });
  const contained = await git.run({ cwd: top, args: ['merge-base', '--is-ancestor', tip, head] });
  if (contained.code === 0) return { taskId: owner, merged: false, commit: null, files: [] };
  const sides = { owner, branch, head, tip };
  const tree = await foreseenTree(git, top, sides);
  // Committing the rest may have taken minutes, in which a person began something.
  await checkProject(git, repository);
  if (tree === null) await mergeUnforeseen(git, repository, sides);
  else await moveTo(git, top, tree, sides);
  const args = ['rev-list', '--max-count=1', '--parents', 'HEAD'];
  const [commit = '', , merged] = (await git.line({ cwd: top, args })).split(' ');
  if (merged !== tip) {
    throw conflict(
      `git merged ${branch}, but what is newest in ${top} now is not that merge; look at git log.`,
    );
  }
  const files = (await changedFiles(git, { cwd: top }, [`${commit}^1`, commit])).map(({ path }) => path);
  return { taskId: owner, merged: true, commit, files: files.slice(0, MOST_FILES) };
}

interface Sides {
  owner: string;
  branch: string;
  head: string;
  tip: string;
}

/**
 * What a merge comes to, found without touching the checkout, so that nothing that watches it stirs; null where git is too
 * old to tell (before 2.38). Throws CONFLICT where the merge would fail or destroy something.
 */
async function foreseenTree(git: Git, top: string, sides: Sides): Promise<string | null> {
  const { owner, branch, head, tip } = sides;
  const args = ['merge-tree', '--write-tree', '--name-only', '--no-messages', '-z', head, tip];
  const { code, stdout } = await git.run({ cwd: top, args, timeoutMs: MERGE_TIMEOUT_MS });
  const [tree = '', ...files] = splitNul(stdout);
  if (code === 1) throw conflictIn(owner, branch, files.map(textOf));
  const inTheWay = await filesInTheWay(git, top, code === 0 ? [head, tree] : [`${head}...${tip}`]);
  if (inTheWay.length === 0) return code === 0 ? tree : null;
  throw conflict(
    `${owner} cannot be merged: files of ${top} that are in no commit would be overwritten by merge: ${inTheWay.slice(0, MOST_NAMED).map(textOf).join(', ')}. Nothing was changed. Move them away, or commit them; git merge ${branch} would not spare those that git ignores.`,
  );
}

/**
 * Moves the checkout on to a merge commit that is made beside it. As a fast-forward it is never in the middle of a merge:
 * where a person is in one, the index is locked or HEAD has moved, git refuses and nothing is to be taken back.
 */
async function moveTo(git: Git, top: string, tree: string, { branch, head, tip }: Sides): Promise<void> {
  const args = ['commit-tree', tree, '-p', head, '-p', tip, '-m', `Merge ${branch}`];
  const commit = await git.line({ cwd: top, args });
  await git.ok({
    cwd: top,
    args: [...MERGE, '--ff-only', '--no-overwrite-ignore', commit],
    timeoutMs: MERGE_TIMEOUT_MS,
    whole: true,
  });
}

/** By git's own merge, which is taken back where it ends in conflict. */
async function mergeUnforeseen(git: Git, { top, gitDir }: Repository, sides: Sides): Promise<void> {
  const { owner, branch, tip } = sides;
  const subject = `Merge ${branch}`;
  const args = [...MERGE, '--no-ff', '-m', subject, tip];
  try {
    // In conflict it names the files on stdout.
    const { code, stdout, stderr } = await git.run({
      cwd: top,
      args,
      timeoutMs: MERGE_TIMEOUT_MS,
      whole: true,
    });
    if (code !== 0)
      throw new GitFailure(args, `of ${branch} was refused`, `${stderr}\n${stdout.toString('utf8')}`);
  } catch (failure) {
    if (!isInMerge(gitDir, tip, subject)) throw failure;
    const ask = ['diff', '--name-only', '--diff-filter=U', '-z'];
    const files = splitNul(await git.ok({ cwd: top, args: ask, whole: true })).map(textOf);
    await git.ok({ cwd: top, args: ['merge', '--abort'], whole: true });
    throw files.length > 0 ? conflictIn(owner, branch, files) : failure;
  }
}

/** Whether the checkout is in the middle of this very merge, and not in one that a person has begun meanwhile. */
function isInMerge(gitDir: string, tip: string, subject: string): boolean {
  const firstLine = (name: string): string | undefined => {
    const file = join(gitDir, name);
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n', 1)[0] : undefined;
  };
  // Git's own words for the same branch are others: `Merge branch '…'`.
  return firstLine('MERGE_HEAD') === tip && firstLine('MERGE_MSG') === subject;
}

function conflictIn(owner: string, branch: string, files: readonly string[]): AiwgdError {
  return new AiwgdError(
    'CONFLICT',
    `${owner} cannot be merged by itself; these files are in conflict: ${files.join(', ')}. Nothing was changed. Merge it by hand: git merge ${branch}`,
    { data: { taskId: owner, files } },
  );
}

export function conflict(message: string): AiwgdError {
  return new AiwgdError('CONFLICT', message);
}
