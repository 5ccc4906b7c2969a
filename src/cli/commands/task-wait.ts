import type { Context } from '../context.js';
import { awaitTask } from '../following/await-task.js';
import { idArgument } from '../stdin.js';
import { withClient } from '../with-client.js';

export async function run(context: Context): Promise<number | undefined> {
  const taskId = idArgument(context.args);
  return withClient(context, (client) => awaitTask(client, taskId, context), { reconnect: true });
}
