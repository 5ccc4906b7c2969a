import { SPEND_KEYS } from '../../protocol/spend.js';
import { TASK_STATES } from '../../protocol/task.js';
import { commandArgument, durationArgument, positiveTime, wholeNumber } from '../arguments.js';
import { type CommandNode, Option } from '../commander.js';
import { causeOption } from './cause-option.js';
import type { AddLeaf, Branch } from './leaf.js';

const idArgument = ['<id>', 'id of the task, such as task-0001, or - for stdin'] as const;

/** Everything about tasks, and what they cost. */
export const branch: Branch = (program, add, addGroup) => {
  const task = addGroup(program, 'task', 'Queue tasks for agents and look after them');
  addSubmit(task, add);
  addListing(task, add);
  addSteering(task, add);
  addSpend(program, add);
  addWork(task, add);
};

function addSpend(program: CommandNode, add: AddLeaf): void {
  add(program, {
    name: 'spend',
    summary: 'Show what agents cost',
    details:
      'Each attempt counts when it ends, and is remembered for 400 days, also when its task is forgotten. Days are those of the time zone of the daemon.',
    options: [
      new Option('--by <key>', 'a row for each of these (default: day)').choices(SPEND_KEYS),
      new Option('--since <time>', 'how far back: 7d, or 2026-11-22 (default: 30 days)'),
      new Option('--limit <n>', 'rows at most (default: 31)').argParser(wholeNumber(1, 1_000)),
    ],
    examples: [
      ['aiwgd spend', 'by day'],
      ['aiwgd spend --by rule --since 7d', ''],
      ['aiwgd spend --by task --limit 5', 'the most expensive ones'],
    ],
    load: () => import('../commands/spend.js'),
  });
}

function addSubmit(task: CommandNode, add: AddLeaf): void {
  add(task, {
    name: 'submit',
    summary: 'Queue a task and print its id',
    details:
      'The prompt is all its words; - reads it from stdin. Options may stand anywhere; a prompt that begins with a dash goes after --. When the id is printed, the task is on disk.',
    args: [['<prompt...>', 'what the agent shall do']],
    options: [
      new Option('--agent <name>', 'who carries it out (default: the configured one)'),
      new Option('--priority <n>', 'higher runs first (default: 0)').argParser(
        wholeNumber(-1_000_000, 1_000_000),
      ),
      new Option('--timeout <minutes>', 'end an attempt that takes longer').argParser(positiveTime(60_000)),
      new Option('--key <key>', 'while a task of this key waits or runs, return that one'),
      new Option('--delay <time>', 'do not start before: 30s, 5m, 2h').argParser(durationArgument),
      new Option('--retries <n>', 'attempts that may follow failures').argParser(wholeNumber(0, 99)),
      new Option('--cwd <dir>', "the agent's folder (default: the project)"),
      new Option('--resume <id>', 'go on in the session of this task, with its agent'),
      new Option('--verify <command>', 'judges the work; exit 0 accepts it').argParser(commandArgument),
      new Option('--verify-rounds <n>', 'how often the agent may mend the work (default: 2)').argParser(
        wholeNumber(0, 20),
      ),
      causeOption,
      new Option('--wait', 'stream its output and exit by its outcome'),
    ],
    examples: [
      ['aiwgd task submit fix the failing test in parser.ts', ''],
      ['aiwgd task submit --priority 10 --wait review the last commit', 'first in line; wait for it'],
      ['git diff | aiwgd task submit -', 'the prompt from stdin'],
      ['aiwgd task submit --verify "npm test" make the tests pass', 'checked by us, not by its word'],
      ['aiwgd task submit --resume task-0007 and now the docs', 'in the same session'],
      ['aiwgd task submit -- --strict is missing from tsconfig', 'a prompt that begins with a dash'],
    ],
    load: () => import('../commands/task-submit.js'),
  });
}

function addListing(task: CommandNode, add: AddLeaf): void {
  add(task, {
    name: 'list',
    summary: 'List tasks, newest first',
    options: [
      new Option('--state <state>', 'only those in this state').choices(TASK_STATES),
      new Option('--agent <name>', 'only those of this agent'),
      new Option('--limit <n>', 'how many at most (default: 20)').argParser(wholeNumber(1, 1_000)),
      new Option('--cursor <cursor>', 'go on where a page ended'),
    ],
    examples: [
      ['aiwgd task list', ''],
      ['aiwgd task list --state failed --json', ''],
    ],
    load: () => import('../commands/task-list.js'),
  });
  add(task, {
    name: 'get',
    summary: 'Show one task, whole',
    args: [idArgument],
    examples: [['aiwgd task get task-0001', '']],
    load: () => import('../commands/task-get.js'),
  });
  add(task, {
    name: 'logs',
    summary: 'Print what the agent of a task wrote',
    args: [idArgument],
    options: [
      new Option('-f, --follow', 'go on until the task ends'),
      new Option('--stderr', 'its stderr (default: its stdout)'),
      new Option('--attempt <n>', 'of this attempt (default: the newest)').argParser(
        wholeNumber(1, 1_000_000),
      ),
    ],
    examples: [
      ['aiwgd task logs task-0001', ''],
      ['aiwgd task logs task-0001 --follow', 'live'],
    ],
    load: () => import('../commands/task-logs.js'),
  });
  add(task, {
    name: 'stats',
    summary: 'Count tasks by state',
    examples: [['aiwgd task stats', '']],
    load: () => import('../commands/task-stats.js'),
  });
}

function addSteering(task: CommandNode, add: AddLeaf): void {
  add(task, {
    name: 'wait',
    summary: 'Stream the output of a task and exit by its outcome',
    details:
      'Exits 0 when the task is completed, 1 when it ends in any other way. Survives a restart of the daemon.',
    args: [idArgument],
    examples: [['aiwgd task wait task-0001 && npm publish', '']],
    load: () => import('../commands/task-wait.js'),
  });
  add(task, {
    name: 'cancel',
    summary: 'Cancel a task, and end its agent where it runs',
    args: [idArgument],
    examples: [['aiwgd task cancel task-0001', '']],
    load: () => import('../commands/task-cancel.js'),
  });
  add(task, {
    name: 'retry',
    summary: 'Queue a task that has ended anew',
    args: [idArgument],
    examples: [['aiwgd task retry task-0001', '']],
    load: () => import('../commands/task-retry.js'),
  });
}

function addWork(task: CommandNode, add: AddLeaf): void {
  add(task, {
    name: 'diff',
    summary: 'Show what a task did in its worktree',
    details:
      'Commits, changes and untracked files since the task started. For tasks of agents with isolation "worktree".',
    args: [idArgument],
    options: [new Option('--stat', 'only the files, with the number of lines')],
    examples: [
      ['aiwgd task diff task-0001', ''],
      ['aiwgd task diff task-0001 --stat', ''],
    ],
    load: () => import('../commands/task-diff.js'),
  });
  add(task, {
    name: 'merge',
    summary: 'Merge what a task did in its worktree into the branch that is checked out',
    details:
      'What the task has not committed is committed first. Where files are in conflict nothing is changed, and they are named.',
    args: [idArgument],
    examples: [['aiwgd task merge task-0001', '']],
    load: () => import('../commands/task-merge.js'),
  });
}
