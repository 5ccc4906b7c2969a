import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';
import { taskDetails } from '../views/task-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output, clock } = context;
  const taskId = idArgument(context.args);
  const task = await callDaemon(context, 'task.get', { taskId });
  if (output.json) output.document(task);
  else for (const line of taskDetails(task, clock.now(), output.paint)) output.line(line);
  return 0;
}
