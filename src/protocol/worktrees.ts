export const WORKTREE_STATES = ['clean', 'dirty', 'unmerged', 'merged', 'missing'] as const;
/**
 * `clean`: as it was made; `dirty`: with uncommitted changes; `unmerged`: with commits that no other branch has;
 * `merged`: all of its commits are in other branches; `missing`: the folder is gone, record and branch are left.
 */
export type WorktreeState = (typeof WORKTREE_STATES)[number];

/** A worktree of a task, or of a conversation of tasks. */
export interface Worktree {
  /** The task that it belongs to, the first one of a conversation. */
  taskId: string;
  path: string;
  branch: string;
  /** The commit from which the task started. */
  base: string;
  state: WorktreeState;
  /** Uncommitted and untracked files. */
  changedFiles: number;
  /** Commits since the task started. */
  commits: number;
  /** Whether a queued or running task uses it. */
  inUse: boolean;
  /** Why `worktree.prune` would keep it; null where it would remove it. */
  why: string | null;
}

export const CHANGE_STATUSES = ['added', 'modified', 'deleted', 'type changed'] as const;

export interface ChangedFile {
  path: string;
  status: (typeof CHANGE_STATUSES)[number];
  /** Lines; null for a binary file. */
  added: number | null;
  removed: number | null;
}

/** What a task did in its worktree. */
export interface TaskDiff {
  /** The task that the worktree belongs to. */
  taskId: string;
  branch: string;
  base: string;
  /** At most 10,000. */
  files: ChangedFile[];
  /** At most 8 MiB. */
  diff: string;
  /** Whether `diff` or `files` was cut. */
  truncated: boolean;
  /** What could not be looked at, and why the diff cannot be applied elsewhere; empty where nothing is to be said. */
  notes: string;
}

export interface TaskMerge {
  taskId: string;
  /** False where there was nothing to merge. */
  merged: boolean;
  /** The merge commit; null where there was nothing to merge. */
  commit: string | null;
  /** Paths that the merge changed in the project, at most 10,000. */
  files: string[];
}

export interface PruneAnswer {
  /** Tasks whose worktree and branch are gone, or with `dryRun` would be. */
  removed: string[];
  kept: { taskId: string; why: string }[];
}
