import { exactOptional } from 'valibot';
import { messageOf } from '../../protocol/errors.js';
import type { OutputParams, ResultOf, SubmitParams, TaskFilter } from '../../protocol/method-types.js';
import { about, wholeNumber } from '../../protocol/schema.js';
import type { Task } from '../../protocol/task.js';
import { visibleText } from '../../protocol/visible-text.js';
import { listLine, stateLine, taskForClient, taskForList, taskText } from './task-words.js';
import { fieldsOf, type Tool, type ToolAnswer, type ToolContext, type ToolSpec } from './tool.js';
import { waitForEnd } from './wait-for-end.js';

/** Most clients give a call up after a minute. */
const WAIT_SECONDS = 45;
const MOST_WAIT_SECONDS = 3_600;
const LIST_ROWS = 20;
/** Bytes of output in one answer, which has them twice. */
const SLICE_BYTES = 64 * 1024;
const MOST_SLICE_BYTES = 256 * 1024;

const waitSeconds = (description: string) =>
  about(exactOptional(wholeNumber(0, MOST_WAIT_SECONDS)), description);

const taskAnswer = (task: Task): ToolAnswer => ({ structured: taskForClient(task), text: taskText(task) });

/** Waits in a slot, so that waits never take all the room; tells each step where the client asked for progress. */
function waited(context: ToolContext, taskId: string, seconds: number): Promise<Task> {
  let told: string | undefined;
  return waitForEnd(context, taskId, seconds * 1_000, (task) => {
    const line = stateLine(task);
    context.progress?.(line === told ? `${line} (still)` : line);
    told = line;
  });
}

function submitAnswer(answer: ResultOf<'task.submit'>, waitError?: string): ToolAnswer {
  const { taskId, state, deduped } = answer;
  const failed = waitError === undefined ? '' : ` Waiting for it has failed: ${waitError}`;
  return {
    structured: { ...answer, ...(waitError === undefined ? {} : { waitError }) },
    text: visibleText(
      `${taskId} ${deduped ? `is there already (${state})` : state}. Wait for its end with wait_task.${failed}`,
    ),
  };
}

type SubmitInput = SubmitParams & { waitSeconds?: number };

const submit: ToolSpec<SubmitInput> = {
  name: 'submit_task',
  title: 'Submit a task',
  description:
    'Queues a prompt for a coding agent, which works on it in the background, in this project. Answers at once with the id of the task, which is on disk by then. Follow it with wait_task, or pass waitSeconds.',
  methods: ['task.submit'],
  reads: false,
  entries: {
    ...fieldsOf('task.submit', {
      prompt: 'What the agent shall do. It knows nothing of this conversation: say all that it needs.',
      agent: 'Name of an agent of the configuration; the default agent where not given',
      priority: 'Higher runs first; 0 where not given',
      timeoutMs: 'Longest time of an attempt, in milliseconds',
      key: 'While a task with the same key is queued or running, that one is answered instead of a new one: makes it safe to submit again after a lost connection',
      delayMs: 'Begin after this many milliseconds',
      retries: 'How many attempts may follow failures; 0 where not given',
      resume: 'Id of an ended task: the prompt goes on in its conversation, with its agent',
    }),
    waitSeconds: waitSeconds('Wait so long for the end of the task and answer with its result'),
  },
  needs: { waitSeconds: 'task.get' },
  run: async ({ waitSeconds: seconds, ...params }, context) => {
    const { daemon, signal } = context;
    const submitted = async (): Promise<ToolAnswer> => {
      const answer = await daemon.call('task.submit', { ...params, source: 'rpc', ...daemon.cause }, signal);
      if (seconds === undefined || seconds === 0) return submitAnswer(answer);
      try {
        return taskAnswer(await waited(context, answer.taskId, seconds));
      } catch (error) {
        signal.throwIfAborted();
        // The task is there, whatever became of the wait: its id must not be lost.
        return submitAnswer(answer, messageOf(error));
      }
    };
    // Room for the wait is looked for first: a call that is refused has submitted nothing.
    return seconds === undefined ? submitted() : daemon.waits.run(submitted);
  },
};

const get: ToolSpec<{ taskId: string }> = {
  name: 'get_task',
  title: 'Look at a task',
  description: 'State of a task, its result or error, cost and progress. Its output is in read_output.',
  methods: ['task.get'],
  reads: true,
  entries: fieldsOf('task.get', { taskId: null }),
  run: async (params, { daemon, signal }) => taskAnswer(await daemon.call('task.get', params, signal)),
};

const wait: ToolSpec<{ taskId: string; waitSeconds?: number }> = {
  name: 'wait_task',
  title: 'Wait for a task',
  description: `Waits until a task has ended and answers with its result; after waitSeconds (${WAIT_SECONDS} where not given) it answers with \`ended: false\` and the task goes on: call it again. Restarts of the daemon are waited for.`,
  methods: ['task.get'],
  reads: true,
  entries: {
    ...fieldsOf('task.get', { taskId: null }),
    waitSeconds: waitSeconds(`Longest wait, at most ${MOST_WAIT_SECONDS}`),
  },
  run: ({ taskId, waitSeconds: seconds = WAIT_SECONDS }, context) =>
    context.daemon.waits.run(async () => taskAnswer(await waited(context, taskId, seconds))),
};

const list: ToolSpec<TaskFilter> = {
  name: 'list_tasks',
  title: 'List tasks',
  description: 'Tasks, the newest first, with long texts cut; get_task has one whole.',
  methods: ['task.page'],
  reads: true,
  entries: {
    ...fieldsOf('task.page', { state: 'Only those in this state', agent: 'Only those of this agent' }),
    limit: about(exactOptional(wholeNumber(1, 100)), `Rows at most; ${LIST_ROWS} where not given`),
    ...fieldsOf('task.page', { cursor: '`nextCursor` of the page before' }),
  },
  run: async ({ limit = LIST_ROWS, ...filter }, { daemon, signal }) => {
    const { tasks, nextCursor } = await daemon.call('task.page', { ...filter, limit }, signal);
    const lines = tasks.length === 0 ? ['No tasks.'] : tasks.map(listLine);
    if (nextCursor !== null) lines.push(`There are more: cursor ${nextCursor}`);
    return { structured: { tasks: tasks.map(taskForList), nextCursor }, text: lines.join('\n') };
  },
};

const output: ToolSpec<OutputParams> = {
  name: 'read_output',
  title: 'Read the output of a task',
  description:
    'A piece of what an attempt of a task wrote. Go on at `nextOffset`; `eof` says that it has ended and all was read.',
  methods: ['task.output'],
  reads: true,
  entries: {
    ...fieldsOf('task.output', {
      taskId: null,
      attempt: 'Number of the attempt; the newest where not given',
      stream: 'stdout where not given',
      offset: 'Where to begin, in bytes',
    }),
    limit: about(
      exactOptional(wholeNumber(1, MOST_SLICE_BYTES)),
      `Bytes at most; ${SLICE_BYTES} where not given`,
    ),
  },
  run: async ({ limit = SLICE_BYTES, ...place }, { daemon, signal }) => {
    const slice = await daemon.call('task.output', { ...place, limit }, signal);
    const from = `${place.taskId}, ${place.stream ?? 'stdout'} from byte ${place.offset ?? 0}`;
    const end = slice.eof ? 'the end' : `go on at offset ${slice.nextOffset}`;
    return {
      structured: { taskId: place.taskId, ...slice },
      text: visibleText(`[${from}]\n${slice.data}\n[${end}]`),
    };
  },
};

const cancel: ToolSpec<{ taskId: string }> = {
  name: 'cancel_task',
  title: 'Cancel a task',
  description: 'Ends a queued or running task, with every process of its agent.',
  methods: ['task.cancel'],
  reads: false,
  destructive: true,
  entries: fieldsOf('task.cancel', { taskId: null }),
  run: async (params, { daemon, signal }) => {
    const answer = await daemon.call('task.cancel', params, signal);
    const text = answer.cancelled
      ? `${params.taskId} is cancelled.`
      : `${params.taskId} had ended already; nothing was done.`;
    return { structured: { taskId: params.taskId, ...answer }, text: visibleText(text) };
  },
};

const retry: ToolSpec<{ taskId: string }> = {
  name: 'retry_task',
  title: 'Queue an ended task anew',
  description: 'Queues an ended task anew, with the same prompt and the same id.',
  methods: ['task.retry'],
  reads: false,
  entries: fieldsOf('task.retry', { taskId: null }),
  run: async (params, { daemon, signal }) => {
    const answer = await daemon.call('task.retry', params, signal);
    return { structured: { ...answer }, text: `${answer.taskId} ${answer.state}.` };
  },
};

/** Tasks: hand in, follow, end. */
export const TASK_TOOLS: readonly Tool[] = [submit, get, wait, list, output, cancel, retry];
