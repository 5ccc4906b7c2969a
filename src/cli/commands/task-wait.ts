import type { Context } from '../context.js';
import { awaitTask } from '../following/await-task.js';
import { idArgument } from '../stdin.js';

export async function run(context: Context): Promise<number | undefined> {
  return awaitTask(idArgument(context.args), context);
}
