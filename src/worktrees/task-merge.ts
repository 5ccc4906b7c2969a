import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import { visibleLine } from '../protocol/visible-text.js';
import type { TaskMerge } from '../protocol/worktrees.js';
import { checkedOutAt } from './branch-use.js';
import { splitNul, textOf } from './byte-paths.js';
import { filesInTheWay } from './files-in-the-way.js';
import { type Git, GitFailure } from './git.js';
import type { Workshop } from './make-worktree.js';
import { type Place, placeOf } from './place.js';
import type { WorktreeRecord } from './records.js';
import { commitOf, findRepository, type Repository, refOf, unfinishedOperation } from './repository.js';
import { snapshot } from './snapshot.js';
import { submodulesWithOwnCommits, unknownRepository } from './submodules.js';
import { changedFiles } from './task-diff.js';
import { uncommitted } from './uncommitted.js';

export interface MergeRequest {
  owner: string;
  /** The task's prompt: its first line goes into the message of the commit. */
  prompt: string;
  /** The queued or running task that uses the worktree, in words; null for none. */
  usedBy: () => Promise<string | null>;
}

const MOST_SUBJECT = 72;
const MOST_FILES = 10_000;
const MOST_NAMED = 20;
const MERGE_TIMEOUT_MS = 600_000;
/** Against what `branch.<name>.mergeOptions` may say. */
const MERGE = [
  'merge',
  '--quiet',
  '--commit',
  '--no-ff',
  '--no-edit',
  '--no-stat',
  '--no-squash',
  '--no-autostash',
  // Nobody is there to be asked for a passphrase.
  '--no-gpg-sign',
];
const NO_IDENTITY =
  'git does not know who commits. Tell it: git config --global user.name "Your Name", git config --global user.email you@example.com.';

/**
 * Commits what a task has not committed itself on its branch, then merges that into the branch that the project has
 * checked out. Throws CONFLICT, with the project's checkout as it was, where that cannot be. Call it for one owner at a
 * time.
 */
export async function mergeTask(shop: Workshop, request: MergeRequest): Promise<TaskMerge> {
  const { git, records, turns, project } = shop;
  const { owner } = request;
  const record = records.read(owner);
  if (record === undefined) throw new AiwgdError('NOT_FOUND', `${owner} has no worktree to merge.`);
  const repository = await findRepository(git, project);
  const place = placeOf(record, repository, records.realPathOf(owner));
  return turns.take(repository.commonDir, async () => {
    const used = await request.usedBy();
    if (used !== null) throw conflict(`The worktree of ${owner} cannot be merged yet: ${used}.`);
    await checkProject(git, repository);
    if (place.present && place.adminDir !== null) await commitRest(git, place, record, request.prompt);
    const tip = await commitOf(git, repository.top, refOf(owner));
    if (tip === null) throw new AiwgdError('NOT_FOUND', `There is no branch ${record.branch} to merge.`);
    const merge = await mergeCommit(git, repository, record, tip);
    if (merge.merged) records.write({ ...record, mergedHead: tip });
    return merge;
  });
}

/** Throws CONFLICT where nothing can be merged into the project's checkout now. */
async function checkProject(git: Git, { top, gitDir }: Repository): Promise<void> {
  if ((await git.lineOrNull({ cwd: top, args: ['symbolic-ref', '--quiet', 'HEAD'] })) === null) {
    throw conflict(`${top} is on no branch (detached HEAD); check the branch out that shall have the work.`);
  }
  const operation = unfinishedOperation(gitDir);
  if (operation !== undefined) throw conflict(`In ${top} ${operation} is in progress; end it first.`);
  for (const who of ['GIT_AUTHOR_IDENT', 'GIT_COMMITTER_IDENT']) {
    if ((await git.lineOrNull({ cwd: top, args: ['var', who] })) === null) throw conflict(NO_IDENTITY);
  }
}

/** A commit of its own on the branch; the project knows nothing of it yet. */
async function commitRest(git: Git, place: Place, record: WorktreeRecord, prompt: string): Promise<void> {
  const { owner, branch } = record;
  const at = { cwd: place.path, env: place.env };
  const on = await git.lineOrNull({ ...at, args: ['symbolic-ref', '--quiet', 'HEAD'] });
  if (on !== refOf(owner)) {
    const where = on === null ? 'on no branch' : `on ${on}`;
    throw conflict(
      `The worktree ${place.path} is ${where}, not on ${branch}; check ${branch} out in it, or merge by hand.`,
    );
  }
  const elsewhere = checkedOutAt(place);
  if (elsewhere !== null) {
    throw conflict(
      `${branch} is checked out in ${elsewhere} too; check another branch out there, or commit in ${place.path} yourself.`,
    );
  }
  const operation = unfinishedOperation(place.adminDir ?? '');
  if (operation !== undefined)
    throw conflict(`In the worktree ${place.path} ${operation} is in progress; end it first.`);
  const { changed, unmerged } = await uncommitted(git, place, record);
  if (unmerged.length > 0) {
    throw conflict(
      `In the worktree ${place.path} files are in conflict: ${unmerged.map(textOf).join(', ')}.`,
    );
  }
  const trees = { source: place.repository.top, target: place.path };
  const [submodule] = await submodulesWithOwnCommits(git, trees, record.submodules);
  if (submodule !== undefined) {
    throw conflict(
      `The submodule ${submodule} has commits that no branch of it has; give them one there (git branch NAME), then merge.`,
    );
  }
  await using taken = await snapshot(git, place, record, { keep: true });
  if (taken.notes !== '') throw conflict(`Not all of ${place.path} can be committed: ${taken.notes}`);
  if (taken.dirtySubmodules.length > 0) {
    throw conflict(
      `Submodules in ${place.path} have changes that are not committed in them: ${taken.dirtySubmodules.map(textOf).join(', ')}. Commit them there, on a branch, then merge.`,
    );
  }
  const within = { cwd: place.path, env: taken.env };
  const stranger = await unknownRepository(git, within, record);
  if (stranger !== undefined) {
    throw conflict(
      `${stranger} in ${place.path} is a repository of its own, whose commits are nowhere else; push them and make it a submodule, or move it away.`,
    );
  }
  if (changed.length === 0) return;
  const tree = await git.line({ ...within, args: ['write-tree'] });
  const head = await git.line({ ...at, args: ['rev-parse', 'HEAD'] });
  if (tree === (await git.line({ ...at, args: ['rev-parse', 'HEAD^{tree}'] }))) return;
  const commit = await git.line({
    ...at,
    args: ['commit-tree', tree, '-p', head, '-F', '-'],
    input: messageFor(owner, prompt),
  });
  const update = ['update-ref', '--no-deref', '-m', `aiwgd: work of ${owner}`, refOf(owner), commit, head];
  await git.ok({ ...at, args: update });
  await git.ok({ ...at, args: ['reset', '--quiet'], whole: true });
}

function messageFor(owner: string, prompt: string): string {
  const line = visibleLine(prompt.trimStart().split('\n', 1)[0] ?? '');
  const subject = `${owner}: ${line}`;
  const short = subject.length > MOST_SUBJECT ? `${subject.slice(0, MOST_SUBJECT - 1).trimEnd()}…` : subject;
  return `${short}\n\nWhat ${owner} had not committed itself.\n`;
}

async function mergeCommit(
  git: Git,
  repository: Repository,
  { owner, branch }: WorktreeRecord,
  tip: string,
): Promise<TaskMerge> {
  const { top, gitDir } = repository;
  const contained = await git.run({ cwd: top, args: ['merge-base', '--is-ancestor', tip, 'HEAD'] });
  if (contained.code === 0) return { taskId: owner, merged: false, commit: null, files: [] };
  await checkForeseen(git, top, { owner, branch }, tip);
  // Committing the rest may have taken minutes, in which a person began something.
  await checkProject(git, repository);
  const subject = `Merge ${branch}`;
  const merging = {
    cwd: top,
    args: [...MERGE, '-m', subject, tip],
    timeoutMs: MERGE_TIMEOUT_MS,
    whole: true,
  };
  try {
    // In conflict it names the files on stdout.
    const { code, stdout, stderr } = await git.run(merging);
    if (code !== 0)
      throw new GitFailure(MERGE, `of ${branch} was refused`, `${stderr}\n${stdout.toString('utf8')}`);
  } catch (failure) {
    if (!isInMerge(gitDir, tip, subject)) throw failure;
    const ask = ['diff', '--name-only', '--diff-filter=U', '-z'];
    const files = splitNul(await git.ok({ cwd: top, args: ask, whole: true })).map(textOf);
    await git.ok({ cwd: top, args: ['merge', '--abort'], whole: true });
    throw files.length > 0 ? conflictIn(owner, branch, files) : failure;
  }
  const [commit = '', , merged] = (
    await git.line({ cwd: top, args: ['rev-list', '--max-count=1', '--parents', 'HEAD'] })
  ).split(' ');
  if (merged !== tip) {
    throw conflict(
      `git merged ${branch}, but what is newest in ${top} now is not that merge; look at git log.`,
    );
  }
  const files = (await changedFiles(git, { cwd: top }, [`${commit}^1`, commit])).map(({ path }) => path);
  return { taskId: owner, merged: true, commit, files: files.slice(0, MOST_FILES) };
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

/**
 * Throws CONFLICT where the merge would fail or destroy something, which is found without touching the checkout, so that
 * nothing that watches it stirs. Where git is too old to tell conflicts (before 2.38), the merge itself tells them.
 */
async function checkForeseen(
  git: Git,
  top: string,
  { owner, branch }: { owner: string; branch: string },
  tip: string,
): Promise<void> {
  const args = ['merge-tree', '--write-tree', '--name-only', '--no-messages', '-z', 'HEAD', tip];
  const { code, stdout } = await git.run({ cwd: top, args, timeoutMs: MERGE_TIMEOUT_MS });
  const [tree = '', ...files] = splitNul(stdout);
  if (code === 1) throw conflictIn(owner, branch, files.map(textOf));
  const end = code === 0 ? ['HEAD', tree] : [`HEAD...${tip}`];
  const inTheWay = await filesInTheWay(git, top, end);
  if (inTheWay.length === 0) return;
  throw conflict(
    `${owner} cannot be merged: files of ${top} that are in no commit would be overwritten by merge: ${inTheWay.slice(0, MOST_NAMED).map(textOf).join(', ')}. Nothing was changed. Move them away, or commit them; git merge ${branch} would not spare those that git ignores.`,
  );
}

function conflictIn(owner: string, branch: string, files: readonly string[]): AiwgdError {
  return new AiwgdError(
    'CONFLICT',
    `${owner} cannot be merged by itself; these files are in conflict: ${files.join(', ')}. Nothing was changed. Merge it by hand: git merge ${branch}`,
    { data: { taskId: owner, files } },
  );
}

function conflict(message: string): AiwgdError {
  return new AiwgdError('CONFLICT', message);
}
