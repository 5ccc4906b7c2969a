import type { AgentSupervisor } from '../agents/agent-supervisor.js';
import type { Submission } from '../agents/submission.js';
import type { CallContext } from '../ipc/connection.js';
import { AiwgdError } from '../protocol/errors.js';
import type {
  MethodName,
  OutputParams,
  OutputSlice,
  ParamsOf,
  ResultOf,
  TaskFilter,
} from '../protocol/method-types.js';
import { isFinal } from '../protocol/task.js';
import type { OutputFiles } from '../tasks/output-files.js';
import type { StoredTask, TaskStore } from '../tasks/task-store.js';
import { callingTask } from './calling-task.js';
import { chatSubmission, submissionOf } from './submissions.js';
import { listedTask, type Present, taskView } from './task-view.js';
import type { WorktreeMethod } from './worktree-handlers.js';

export interface TaskHandlerParts {
  /** The project's folder. */
  project: string;
  store: TaskStore;
  supervisor: AgentSupervisor;
  files: OutputFiles;
}

type Answer<M extends MethodName> = (params: ParamsOf<M>, call: CallContext) => Promise<ResultOf<M>>;
type TaskMethod = Exclude<Extract<MethodName, `task.${string}` | 'chat.send'>, WorktreeMethod>;

const DEFAULT_ROWS = 100;
const DEFAULT_SLICE_BYTES = 65_536;
/** How much of the output `task.get` carries. */
const OUTPUT_TAIL_BYTES = 65_536;

/** The methods `task.*`. */
export function taskHandlers({ project, store, supervisor, files }: TaskHandlerParts): {
  [M in TaskMethod]: Answer<M>;
} {
  const find = (taskId: string): Promise<StoredTask> => existingTask(store, taskId);
  const readOutput = outputReader({ store, files });
  const presentOf = (task: StoredTask): Present => ({
    live: supervisor.live(task.id),
    hold: supervisor.holdOf(task),
  });
  const page = async ({ limit = DEFAULT_ROWS, ...filter }: TaskFilter): Promise<ResultOf<'task.page'>> => {
    const { tasks, nextCursor } = await store.list({ ...filter, limit });
    return { tasks: tasks.map((task) => listedTask(task, presentOf(task))), nextCursor };
  };
  const isFromOutside = async (id: string): Promise<boolean> => (await store.get(id))?.outside === true;
  /** With the task whose agent makes the call; what somebody outside has set off stays so. */
  const asCalled = async (submission: Submission, call: CallContext): Promise<Submission> => {
    const caller = callingTask(call, project);
    // An agent may not disown what it does.
    const cause = caller ?? submission.cause;
    if (cause === undefined) return submission;
    const outside = await isFromOutside(cause);
    return { ...submission, cause, ...(outside ? { launch: { ...submission.launch, outside } } : {}) };
  };
  return {
    'task.submit': async ({ resume, ...request }, call) => {
      const original = resume === undefined ? undefined : await find(resume);
      return supervisor.submit(await asCalled(submissionOf(request, original), call));
    },
    'chat.send': async (params, call) => {
      const { conversation, submission } = chatSubmission(params);
      return { conversation, taskId: (await supervisor.submit(await asCalled(submission, call))).taskId };
    },
    'task.cancel': async ({ taskId }) => ({ cancelled: await supervisor.cancel(taskId) }),
    'task.retry': async ({ taskId }) => supervisor.retry(taskId),
    'task.page': page,
    'task.list': async (filter) => (await page(filter)).tasks,
    'task.get': async ({ taskId }) => {
      const task = await find(taskId);
      const output = task.attempt === 0 ? null : await files.tail(taskId, task.attempt, OUTPUT_TAIL_BYTES);
      return taskView(task, presentOf(task), output);
    },
    'task.stats': () => store.counts(),
    'task.output': (params) => readOutput(params),
  };
}

async function existingTask(store: TaskStore, taskId: string): Promise<StoredTask> {
  const task = await store.get(taskId);
  if (task === undefined)
    throw new AiwgdError('NOT_FOUND', `There is no task ${taskId}.`, { data: { taskId } });
  return task;
}

/** Reads pieces of what attempts wrote, as `task.output` answers them. */
export function outputReader({
  store,
  files,
}: Pick<TaskHandlerParts, 'store' | 'files'>): (params: OutputParams) => Promise<OutputSlice> {
  return async ({ taskId, attempt, stream = 'stdout', offset = 0, limit = DEFAULT_SLICE_BYTES }) => {
    const task = await existingTask(store, taskId);
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
  };
}
