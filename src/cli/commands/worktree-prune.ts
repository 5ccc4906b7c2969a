import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { pruneLines } from '../views/worktree-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { args, options, output } = context;
  const dryRun = options.dryRun === true;
  const answer = await callDaemon(context, 'worktree.prune', {
    dryRun,
    ...(args.length === 0 ? {} : { taskIds: [...args] }),
  });
  if (output.json) output.document(answer);
  else for (const line of pruneLines(answer, dryRun, output.paint)) output.line(line);
  return 0;
}
