import type { AgentSupervisor } from '../agents/agent-supervisor.js';
import { AiwgdError } from '../protocol/errors.js';
import type { MethodName, ParamsOf, ResultOf, TaskFilter } from '../protocol/method-types.js';
import { isFinal } from '../protocol/task.js';
import type { OutputFiles } from '../tasks/output-files.js';
import type { StoredTask, TaskStore } from '../tasks/task-store.js';
import { listedTask, taskView } from './task-view.js';
import type { WorktreeMethod } from './worktree-handlers.js';

export interface TaskHandlerParts {
  store: TaskStore;
  supervisor: AgentSupervisor;
  files: OutputFiles;
}

type Answer<M extends MethodName> = (params: ParamsOf<M>) => Promise<ResultOf<M>>;
type TaskMethod = Exclude<Extract<MethodName, `task.${string}`>, WorktreeMethod>;

const DEFAULT_ROWS = 100;
const DEFAULT_SLICE_BYTES = 65_536;
/** How much of the output `task.get` carries. */
const OUTPUT_TAIL_BYTES = 65_536;

/** The methods `task.*`. */
export function taskHandlers({ store, supervisor, files }: TaskHandlerParts): {
  [M in TaskMethod]: Answer<M>;
} {
  const find = async (taskId: string): Promise<StoredTask> => {
    const task = await store.get(taskId);
    if (task === undefined)
      throw new AiwgdError('NOT_FOUND', `There is no task ${taskId}.`, { data: { taskId } });
    return task;
  };
  const page = async ({ limit = DEFAULT_ROWS, ...filter }: TaskFilter): Promise<ResultOf<'task.page'>> => {
    const { tasks, nextCursor } = await store.list({ ...filter, limit });
    return { tasks: tasks.map((task) => listedTask(task, supervisor.live(task.id))), nextCursor };
  };
  return {
    'task.submit': ({ source = 'rpc', ...request }) => supervisor.submit({ ...request, source }),
    'task.cancel': async ({ taskId }) => ({ cancelled: await supervisor.cancel(taskId) }),
    'task.retry': async ({ taskId }) => supervisor.retry(taskId),
    'task.page': page,
    'task.list': async (filter) => (await page(filter)).tasks,
    'task.get': async ({ taskId }) => {
      const task = await find(taskId);
      const output = task.attempt === 0 ? null : await files.tail(taskId, task.attempt, OUTPUT_TAIL_BYTES);
      return taskView(task, supervisor.live(taskId), output);
    },
    'task.stats': () => store.counts(),
    'task.output': async ({
      taskId,
      attempt,
      stream = 'stdout',
      offset = 0,
      limit = DEFAULT_SLICE_BYTES,
    }) => {
      const task = await find(taskId);
      const number = attempt ?? task.attempt;
      if (number > task.attempt) {
        throw new AiwgdError(
          'NOT_FOUND',
          `Task ${taskId} has no attempt ${number}; it has had ${task.attempt}.`,
        );
      }
      const ended = isFinal(task.state) || number < task.attempt || task.state === 'queued';
      if (number === 0) return { data: '', nextOffset: 0, eof: isFinal(task.state) };
      return files.read({ taskId, attempt: number, stream, offset, limit, ended });
    },
  };
}
