import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../platform/clock.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { PruneAnswer, TaskDiff, TaskMerge, Worktree } from '../protocol/worktrees.js';
import { Git } from './git.js';
import { asFound } from './half-made.js';
import { inspect } from './inspection.js';
import { checkSameTask, prepareWorktree, type Workshop, type WorkspaceRequest } from './make-worktree.js';
import { placeOf } from './place.js';
import { checkOwner, type WorktreeRecord, WorktreeRecords } from './records.js';
import { removeWorktree } from './removal.js';
import { branchOf, findRepository, type Repository } from './repository.js';
import { taskDiff } from './task-diff.js';
import { mergeTask } from './task-merge.js';
import { Turns } from './turns.js';

export interface WorktreesOptions {
  /** The project's folder, without symbolic links. */
  projectRoot: string;
  clock: Clock;
  /** The daemon's own; git gets a part of it. */
  environment: Readonly<Record<string, string | undefined>>;
  /**
   * Owners whose worktree a queued or running task uses, each with what that is in words (`task-0007 is running`). Asked
   * again right before anything is removed or merged.
   */
  inUse: () => Promise<ReadonlyMap<string, string>>;
}

/**
 * Git worktrees in which isolated tasks work: one for each task, or for each conversation of tasks, in
 * `.aiwg/working/<id of the first task>` on branch `aiwg/<id>`. What one of them holds is never destroyed: only what is
 * merged, or holds nothing, can be removed.
 */
export class Worktrees {
  readonly #shop: Workshop;
  readonly #inUse: WorktreesOptions['inUse'];
  /** One thing at a time for each owner. */
  readonly #owners = new Turns();

  constructor({ projectRoot, clock, environment, inUse }: WorktreesOptions) {
    this.#inUse = inUse;
    this.#shop = {
      git: new Git({ clock, environment }),
      clock,
      records: new WorktreeRecords(join(realpathSync(projectRoot), '.aiwg')),
      project: projectRoot,
      turns: new Turns(),
    };
  }

  /**
   * Makes the worktree of a task, or finds the one that it had before; answers the folder in it that stands for `cwd`.
   * Throws INVALID_PARAMS where that can never be (no repository, say), any other error where it cannot be now; what was
   * begun is taken away again then.
   */
  async prepare(request: WorkspaceRequest): Promise<{ folder: string; path: string }> {
    checkOwner(request.owner);
    return this.#owners.take(request.owner, () => prepareWorktree(this.#shop, request));
  }

  /** Owners of worktrees, in the order of their ids. */
  owners(): string[] {
    return this.#shop.records.owners();
  }

  /** Conversations that work in a worktree, with its owner. */
  conversations(): Map<string, string> {
    const found = new Map<string, string>();
    for (const owner of this.owners()) {
      const conversation = this.#readOrNone(owner)?.conversation ?? null;
      if (conversation !== null && !found.has(conversation)) found.set(conversation, owner);
    }
    return found;
  }

  /** Throws INVALID_PARAMS where the worktree is an earlier task's of the same id. */
  checkSameTask(owner: string, createdAt: string): void {
    checkSameTask(this.#readOrNone(owner), createdAt, this.#shop.records.pathOf(owner));
  }

  /** Every worktree, in the order of the ids. */
  async list(): Promise<Worktree[]> {
    const owners = this.#shop.records.owners();
    if (owners.length === 0) return [];
    const repository = await findRepository(this.#shop.git, this.#shop.project);
    const inUse = await this.#inUse();
    const listed: Worktree[] = [];
    for (const owner of owners) listed.push(await this.#view(repository, owner, inUse.get(owner) ?? null));
    return listed;
  }

  /** Removes what can be removed without destroying anything, of all worktrees or of these; `dryRun` only says what. */
  async prune({
    taskIds,
    dryRun = false,
  }: {
    taskIds?: readonly string[];
    dryRun?: boolean;
  }): Promise<PruneAnswer> {
    const answer: PruneAnswer = { removed: [], kept: [] };
    for (const owner of taskIds ?? this.#shop.records.owners()) {
      checkOwner(owner);
      const usedBy = this.#usedBy(owner);
      const why = await this.#owners
        .take(owner, () => removeWorktree(this.#shop, { owner, dryRun, usedBy }))
        .catch(messageOf);
      if (why === null) answer.removed.push(owner);
      else answer.kept.push({ taskId: owner, why });
    }
    return answer;
  }

  /** Everything that the task did. Throws NOT_FOUND where it has no worktree. */
  async diff(owner: string): Promise<TaskDiff> {
    checkOwner(owner);
    return taskDiff(this.#shop, owner);
  }

  /** Brings the work of a task into the branch that the project has checked out. Throws CONFLICT, and then nothing has changed there. */
  async merge({ owner, prompt }: { owner: string; prompt: string }): Promise<TaskMerge> {
    checkOwner(owner);
    const usedBy = this.#usedBy(owner);
    return this.#owners.take(owner, () => mergeTask(this.#shop, { owner, prompt, usedBy }));
  }

  /** Ends what git does; what it has begun is mended by the next `prepare`. */
  close(): void {
    this.#shop.git.close();
  }

  /** One that cannot be read is nobody's; whoever asks for it itself learns why. */
  #readOrNone(owner: string): WorktreeRecord | undefined {
    try {
      return this.#shop.records.read(owner);
    } catch (error) {
      if (error instanceof AiwgdError) return undefined;
      throw error;
    }
  }

  #usedBy(owner: string): () => Promise<string | null> {
    return async () => (await this.#inUse()).get(owner) ?? null;
  }

  async #view(repository: Repository, owner: string, used: string | null): Promise<Worktree> {
    const { git, records } = this.#shop;
    const path = records.pathOf(owner);
    const known = { taskId: owner, path, branch: branchOf(owner), inUse: used !== null };
    try {
      const kept = records.read(owner);
      if (kept === undefined) throw new Error('it was removed just now');
      const realPath = records.realPathOf(owner);
      const record = asFound(repository, kept, realPath);
      const { base, branch } = record;
      const found = await inspect(git, placeOf(record, repository, realPath), record);
      const { state, changedFiles, commits, why } = found;
      return { ...known, branch, base, state, changedFiles, commits, why: used ?? why };
    } catch (error) {
      // One that cannot be looked at does not hide the others; nobody removes it either.
      return { ...known, base: '', state: 'dirty', changedFiles: 0, commits: 0, why: messageOf(error) };
    }
  }
}
