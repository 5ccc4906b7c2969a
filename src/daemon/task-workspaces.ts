import type { Workspaces } from '../agents/ports.js';
import type { Clock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';
import type { TaskState } from '../protocol/task.js';
import type { PruneAnswer, TaskDiff, TaskMerge, Worktree } from '../protocol/worktrees.js';
import type { StoredTask, TaskStore } from '../tasks/task-store.js';
import type { Worktrees } from '../worktrees/worktrees.js';

/** The conversation that began when a task was resumed is named after it. */
const RESUMED = /^task:(?<owner>.+)$/u;
const PAGE_ROWS = 1_000;

interface Owner {
  /** The first task of the conversation, or the task itself. */
  owner: string;
  prompt: string;
  /** When the owner was submitted; null where the store has forgotten it. */
  createdAt: string | null;
}

/** The worktrees of tasks, by the ids of any task that works in them. Loaded when first needed: most projects have none. */
export class TaskWorkspaces implements Workspaces {
  readonly #options: {
    project: string;
    clock: Clock;
    environment: Readonly<Record<string, string | undefined>>;
    store: TaskStore;
  };
  #loading: Promise<Worktrees> | undefined;
  #closed = false;

  constructor(options: {
    project: string;
    clock: Clock;
    environment: Readonly<Record<string, string | undefined>>;
    store: TaskStore;
  }) {
    this.#options = options;
  }

  async prepare(request: Parameters<Workspaces['prepare']>[0]): Promise<{ folder: string; path: string }> {
    const owner = await this.#options.store.get(request.owner);
    return (await this.#worktrees()).prepare({
      ...request,
      ...(owner === undefined ? {} : { createdAt: owner.createdAt }),
    });
  }

  async list(): Promise<Worktree[]> {
    return (await this.#worktrees()).list();
  }

  /** Throws NOT_FOUND for an unknown task, and for one that has no worktree. */
  async diff(taskId: string): Promise<TaskDiff> {
    const worktrees = await this.#worktrees();
    return worktrees.diff((await this.#findSame(worktrees, taskId)).owner);
  }

  /** As `Worktrees.merge`. */
  async merge(taskId: string): Promise<TaskMerge> {
    const worktrees = await this.#worktrees();
    return worktrees.merge(await this.#findSame(worktrees, taskId));
  }

  /** As `Worktrees.prune`; each of `taskIds` stands for the worktree in which that task works. */
  async prune({ taskIds, dryRun = false }: { taskIds?: string[]; dryRun?: boolean }): Promise<PruneAnswer> {
    const worktrees = await this.#worktrees();
    if (taskIds === undefined) return worktrees.prune({ dryRun });
    const owners = new Set<string>();
    for (const taskId of taskIds) owners.add((await this.#find(worktrees, taskId)).owner);
    return worktrees.prune({ taskIds: [...owners], dryRun });
  }

  /** Ends git where it is at work. Nothing is prepared any more. */
  close(): void {
    this.#closed = true;
    void this.#loading?.then((worktrees) => worktrees.close());
  }

  #worktrees(): Promise<Worktrees> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<Worktrees> {
    const { project, clock, environment } = this.#options;
    const { Worktrees: Loaded } = await import('../worktrees/worktrees.js');
    const worktrees = new Loaded({ projectRoot: project, clock, environment, inUse: () => this.#inUse() });
    if (this.#closed) worktrees.close();
    return worktrees;
  }

  /** As `#find`. Throws INVALID_PARAMS where the worktree is an earlier task's of the same id. */
  async #findSame(worktrees: Worktrees, taskId: string): Promise<Owner> {
    const found = await this.#find(worktrees, taskId);
    if (found.createdAt !== null) worktrees.checkSameTask(found.owner, found.createdAt);
    return found;
  }

  /** The owner of the worktree of a task. One that the store has forgotten may have left a worktree of its own. */
  async #find(worktrees: Worktrees, taskId: string): Promise<Owner> {
    const task = await this.#options.store.get(taskId);
    if (task !== undefined) {
      const owner = ownerOf(task, worktrees.conversations());
      const first = owner === task.id ? task : await this.#options.store.get(owner);
      return { owner, prompt: (first ?? task).prompt, createdAt: first?.createdAt ?? null };
    }
    if (worktrees.owners().includes(taskId)) return { owner: taskId, prompt: '', createdAt: null };
    throw new AiwgdError('NOT_FOUND', `There is no task ${taskId}.`, { data: { taskId } });
  }

  /** Worktrees that a queued or running task uses. */
  async #inUse(): Promise<Map<string, string>> {
    const worktrees = await this.#worktrees();
    const conversations = worktrees.conversations();
    const inUse = new Map<string, string>();
    // A task goes from queued to running, so none is missed between the two.
    for (const state of ['queued', 'running'] as const) {
      for await (const task of this.#tasksIn(state)) {
        inUse.set(ownerOf(task, conversations), `${task.id} is ${state}`);
      }
    }
    return inUse;
  }

  async *#tasksIn(state: TaskState): AsyncGenerator<StoredTask> {
    let cursor: string | undefined;
    do {
      const query = { state, limit: PAGE_ROWS, ...(cursor === undefined ? {} : { cursor }) };
      const page = await this.#options.store.list(query);
      yield* page.tasks;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }
}

/** The worktree of a conversation is its first task's. */
function ownerOf({ id, conversation }: StoredTask, conversations: ReadonlyMap<string, string>): string {
  if (conversation === null) return id;
  return RESUMED.exec(conversation)?.groups?.['owner'] ?? conversations.get(conversation) ?? id;
}
