import * as v from 'valibot';
import { object, oneOf, type Schema } from './schema.js';
import {
  CHANGE_STATUSES,
  type PruneAnswer,
  type TaskDiff,
  type TaskMerge,
  WORKTREE_STATES,
  type Worktree,
} from './worktrees.js';

const nullableNumber = v.nullable(v.number());

export const worktree: Schema<Worktree> = object({
  taskId: v.string(),
  path: v.string(),
  branch: v.string(),
  base: v.string(),
  state: oneOf(WORKTREE_STATES),
  changedFiles: v.number(),
  commits: v.number(),
  inUse: v.boolean(),
  why: v.nullable(v.string()),
});

export const taskDiff: Schema<TaskDiff> = object({
  taskId: v.string(),
  branch: v.string(),
  base: v.string(),
  files: v.array(
    object({
      path: v.string(),
      status: oneOf(CHANGE_STATUSES),
      added: nullableNumber,
      removed: nullableNumber,
    }),
  ),
  diff: v.string(),
  truncated: v.boolean(),
  notes: v.string(),
});

export const taskMerge: Schema<TaskMerge> = object({
  taskId: v.string(),
  merged: v.boolean(),
  commit: v.nullable(v.string()),
  files: v.array(v.string()),
});

export const pruneAnswer: Schema<PruneAnswer> = object({
  removed: v.array(v.string()),
  kept: v.array(object({ taskId: v.string(), why: v.string() })),
});
