import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { worktreeTable } from '../views/worktree-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const worktrees = await callDaemon(context, 'worktree.list', {});
  if (output.json) output.document(worktrees);
  else for (const line of worktreeTable(worktrees, output.columns(), output.paint)) output.line(line);
  return 0;
}
