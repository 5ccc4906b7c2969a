import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';
import { withClient } from '../with-client.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const taskId = idArgument(context.args);
  const answer = await withClient(context, (client) => client.call('task.retry', { taskId }));
  if (output.json) output.document(answer);
  else output.line(`${answer.taskId} ${answer.state}`);
  return 0;
}
