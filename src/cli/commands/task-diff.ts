import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { visibleText } from '../output/text.js';
import { idArgument } from '../stdin.js';
import { diffForTerminal, statLines } from '../views/worktree-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output, options } = context;
  const answer = await callDaemon(context, 'task.diff', { taskId: idArgument(context.args) });
  if (output.json) {
    output.document(answer);
    return 0;
  }
  if (answer.notes !== '') output.problem(visibleText(answer.notes));
  if (options.stat === true) for (const line of statLines(answer, output.paint)) output.line(line);
  else if (answer.diff === '' && output.terminal) output.line('No changes');
  // A pipe gets it as it is, to be applied elsewhere.
  else await output.stream(output.terminal ? diffForTerminal(answer.diff, output.paint) : answer.diff);
  return 0;
}
