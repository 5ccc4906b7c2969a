import { exactOptional } from 'valibot';
import type { ParamsOf } from '../../protocol/method-types.js';
import { about, wholeNumber } from '../../protocol/schema.js';
import { visibleText } from '../../protocol/visible-text.js';
import { cutText } from './bounded.js';
import { fieldsOf, plainAnswer, type Tool, type ToolSpec } from './tool.js';

const SPEND_ROWS = 31;
const DIFF_CHARACTERS = 64 * 1024;
const MOST_FILES = 500;
const MOST_WORKTREES = 200;

const spend: ToolSpec<ParamsOf<'spend.report'>> = {
  name: 'report_spend',
  title: 'What agents cost',
  description:
    'What agents cost, by rule, agent, day or task; the newest days first, else the most expensive.',
  methods: ['spend.report'],
  reads: true,
  entries: {
    ...fieldsOf('spend.report', { by: null, since: null }),
    limit: about(exactOptional(wholeNumber(1, 200)), `Rows at most; ${SPEND_ROWS} where not given`),
  },
  run: async ({ limit = SPEND_ROWS, ...query }, { daemon, signal }) =>
    plainAnswer({ ...(await daemon.call('spend.report', { ...query, limit }, signal)) }),
};

const diff: ToolSpec<ParamsOf<'task.diff'>> = {
  name: 'diff_task',
  title: 'What a task did in its worktree',
  description:
    'Commits, changes and new files of a task whose agent works in a worktree of its own, as one diff.',
  methods: ['task.diff'],
  reads: true,
  entries: fieldsOf('task.diff', { taskId: null }),
  run: async (params, { daemon, signal }) => {
    const answer = await daemon.call('task.diff', params, signal);
    const text = cutText(answer.diff, DIFF_CHARACTERS);
    const files = answer.files.slice(0, MOST_FILES);
    const truncated = answer.truncated || text !== answer.diff || files.length < answer.files.length;
    return {
      structured: { ...answer, files, diff: text, truncated },
      text: text === '' ? 'Nothing has changed.' : visibleText(text),
    };
  },
};

const worktrees: ToolSpec<ParamsOf<'worktree.list'>> = {
  name: 'list_worktrees',
  title: 'List worktrees',
  description: 'The worktrees of tasks: branch, what they hold, and why those that have to stay do.',
  methods: ['worktree.list'],
  reads: true,
  entries: {},
  run: async (params, { daemon, signal }) => {
    const all = await daemon.call('worktree.list', params, signal);
    return plainAnswer({
      worktrees: all.slice(0, MOST_WORKTREES),
      leftOut: Math.max(0, all.length - MOST_WORKTREES),
    });
  },
};

/** What came of tasks, and what it cost. */
export const WORK_TOOLS: readonly Tool[] = [spend, diff, worktrees];
