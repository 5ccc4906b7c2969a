import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const taskId = idArgument(context.args);
  const answer = await callDaemon(context, 'task.retry', { taskId });
  if (output.json) output.document(answer);
  else output.line(`${answer.taskId} ${answer.state}`);
  return 0;
}
