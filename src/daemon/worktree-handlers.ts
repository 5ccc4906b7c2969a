import type { Connection } from '../ipc/connection.js';
import type { Handlers } from '../ipc/rpc-server.js';
import { gateAnswerer } from './gate-answerer.js';
import type { TaskWorkspaces } from './task-workspaces.js';

export type WorktreeMethod = 'task.diff' | 'task.merge' | 'worktree.list' | 'worktree.prune';

/** Else a text that has talked an agent into a change would also get it merged. */
const MERGING = { rule: 'Work of tasks is merged by people', does: 'merges' };
const PRUNING = { rule: 'Worktrees are removed by people', does: 'removes worktrees' };

/** The methods of what tasks did in worktrees. */
export function worktreeHandlers(
  workspaces: TaskWorkspaces,
  project: string,
  inTurn: <T>(connection: Connection, work: () => Promise<T>) => Promise<T>,
): Pick<Handlers, WorktreeMethod> {
  return {
    'task.diff': ({ taskId }, { connection }) => inTurn(connection, () => workspaces.diff(taskId)),
    'task.merge': ({ taskId }, call) => {
      gateAnswerer(call, project, MERGING);
      return workspaces.merge(taskId);
    },
    'worktree.list': (_, { connection }) => inTurn(connection, () => workspaces.list()),
    'worktree.prune': (params, call) => {
      gateAnswerer(call, project, PRUNING);
      return workspaces.prune(params);
    },
  };
}
