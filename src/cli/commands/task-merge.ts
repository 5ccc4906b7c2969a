import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';
import { mergeLines } from '../views/worktree-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const answer = await callDaemon(context, 'task.merge', { taskId: idArgument(context.args) });
  if (output.json) output.document(answer);
  else for (const line of mergeLines(answer)) output.line(line);
  return 0;
}
