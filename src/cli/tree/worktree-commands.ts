import { Option } from '../commander.js';
import type { Branch } from './leaf.js';

/** Worktrees of tasks. */
export const branch: Branch = (program, add, addGroup) => {
  const worktree = addGroup(program, 'worktree', 'The git worktrees in which isolated tasks work');
  add(worktree, {
    name: 'list',
    summary: 'List the worktrees, and why those that have to stay do',
    examples: [['aiwgd worktree list', '']],
    load: () => import('../commands/worktree-list.js'),
  });
  add(worktree, {
    name: 'prune',
    summary: 'Remove worktrees and their branches where nothing is lost',
    details:
      'Whatever holds uncommitted files, or commits that are in no other branch, stays; so does what a task uses. There is no way to force it.',
    args: [['[id...]', 'ids of tasks (default: all worktrees)']],
    options: [new Option('--dry-run', 'remove nothing, say what would be removed')],
    examples: [
      ['aiwgd worktree prune --dry-run', ''],
      ['aiwgd worktree prune', ''],
      ['aiwgd worktree prune task-0001', 'only this one'],
    ],
    load: () => import('../commands/worktree-prune.js'),
  });
};
