import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';
import { awaitTask } from '../tasks/await-task.js';
import { withClient } from '../with-client.js';

export async function run(context: Context): Promise<number | undefined> {
  const taskId = idArgument(context.args);
  return withClient(context, (client) => awaitTask(client, taskId, context), { reconnect: true });
}
