import type { TaskFilter } from '../../protocol/method-types.js';
import type { TaskState } from '../../protocol/task.js';
import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { taskTable } from '../views/task-views.js';

const DEFAULT_LIMIT = 20;

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const { state, agent, limit, cursor } = options;
  const filter: TaskFilter = {
    ...(state === undefined ? {} : { state: state as TaskState }),
    ...(agent === undefined ? {} : { agent }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  if (output.json) {
    const answer = await callDaemon(
      context,
      'task.list',
      limit === undefined ? filter : { ...filter, limit },
    );
    output.document(answer);
    return 0;
  }
  const { tasks, nextCursor } = await callDaemon(context, 'task.page', {
    ...filter,
    limit: limit ?? DEFAULT_LIMIT,
  });
  if (tasks.length === 0) {
    output.line('No tasks');
    return 0;
  }
  for (const line of taskTable(tasks, clock.now(), output.columns(), output.paint)) output.line(line);
  if (nextCursor !== null && output.terminal) output.problem(`More: aiwgd task list --cursor ${nextCursor}`);
  return 0;
}
