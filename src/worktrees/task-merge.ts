import { AiwgdError } from '../protocol/errors.js';
import { visibleLine } from '../protocol/visible-text.js';
import type { TaskMerge } from '../protocol/worktrees.js';
import { checkedOutAt } from './branch-use.js';
import { textOf } from './byte-paths.js';
import type { Git } from './git.js';
import type { Workshop } from './make-worktree.js';
import { checkProject, conflict, mergeCommit } from './merge-commit.js';
import { type Place, placeOf } from './place.js';
import type { WorktreeRecord } from './records.js';
import { commitOf, findRepository, refOf, unfinishedOperation } from './repository.js';
import { snapshot } from './snapshot.js';
import { submodulesWithOwnCommits, unknownRepository } from './submodules.js';
import { uncommitted } from './uncommitted.js';

export interface MergeRequest {
  owner: string;
  /** The task's prompt: its first line goes into the message of the commit. */
  prompt: string;
  /** The queued or running task that uses the worktree, in words; null for none. */
  usedBy: () => Promise<string | null>;
}

const MOST_SUBJECT = 72;

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
    const tip = await commitOf(git, repository.top, refOf(record.branch));
    if (tip === null) throw new AiwgdError('NOT_FOUND', `There is no branch ${record.branch} to merge.`);
    const merge = await mergeCommit(git, repository, record, tip);
    if (merge.merged) records.write({ ...record, mergedHead: tip });
    return merge;
  });
}

/** Throws CONFLICT where the worktree is not on the task's branch alone, or in the middle of something. */
async function checkPlace(git: Git, place: Place, { branch }: WorktreeRecord): Promise<void> {
  const at = { cwd: place.path, env: place.env };
  const on = await git.lineOrNull({ ...at, args: ['symbolic-ref', '--quiet', 'HEAD'] });
  if (on !== refOf(branch)) {
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
}

/** A commit of its own on the branch; the project knows nothing of it yet. */
async function commitRest(git: Git, place: Place, record: WorktreeRecord, prompt: string): Promise<void> {
  const { owner } = record;
  const at = { cwd: place.path, env: place.env };
  await checkPlace(git, place, record);
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
  const update = [
    'update-ref',
    '--no-deref',
    '-m',
    `aiwgd: work of ${owner}`,
    refOf(record.branch),
    commit,
    head,
  ];
  await git.ok({ ...at, args: update });
  await git.ok({ ...at, args: ['reset', '--quiet'], whole: true });
}

function messageFor(owner: string, prompt: string): string {
  const line = visibleLine(prompt.trimStart().split('\n', 1)[0] ?? '');
  const subject = `${owner}: ${line}`;
  const short = subject.length > MOST_SUBJECT ? `${subject.slice(0, MOST_SUBJECT - 1).trimEnd()}…` : subject;
  return `${short}\n\nWhat ${owner} had not committed itself.\n`;
}
