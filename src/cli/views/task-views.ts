import type { Task, TaskState } from '../../protocol/task.js';
import type { Color, Paint } from '../output/color.js';
import { formatBytes, formatDuration, formatLocalTime, formatRelative, formatUsd } from '../output/format.js';
import { tableLines } from '../output/table.js';
import { visibleLine, visibleText } from '../output/text.js';

const STATE_COLORS: Record<TaskState, Color> = {
  queued: 'dim',
  running: 'cyan',
  completed: 'green',
  failed: 'red',
  cancelled: 'yellow',
  timeout: 'red',
};
const LABEL_WIDTH = 12;

/** Why it does not run yet, else its state. */
function stateText(task: Task): string {
  return task.waitReason === null ? task.state : `${task.state} (${task.waitReason})`;
}

function took(task: Task, now: number): string {
  if (task.startedAt === null) return '-';
  const end = task.completedAt === null ? now : Date.parse(task.completedAt);
  return formatDuration(end - Date.parse(task.startedAt));
}

/** A table of tasks; the prompt takes what width is left. */
export function taskTable(tasks: readonly Task[], now: number, columns: number, paint: Paint): string[] {
  return tableLines(
    [
      { title: 'ID' },
      { title: 'STATE', color: (cell) => STATE_COLORS[cell.split(' ')[0] as TaskState] },
      { title: 'PRIO', align: 'right' },
      { title: 'AGENT' },
      { title: 'CREATED', align: 'right' },
      { title: 'TOOK', align: 'right' },
      { title: 'PROMPT', flexible: true },
    ],
    tasks.map((task) => [
      visibleLine(task.id),
      stateText(task),
      String(task.priority),
      visibleLine(task.agent ?? '-'),
      formatRelative(task.createdAt, now),
      took(task, now),
      visibleLine(task.prompt.slice(0, 4_096)),
    ]),
    columns,
    paint,
  );
}

/** What an agent is doing, in a line: `turn 3, Bash: npm test, 12,034 tokens in, 803 out, $0.12`. */
function progressText(progress: Task['progress']): string | null {
  if (progress === null) return null;
  const { turns, tool, tokens, costUsd } = progress;
  const parts = [
    turns === 0 ? null : `turn ${turns}`,
    tool,
    tokens && `${tokens.input.toLocaleString('en')} tokens in, ${tokens.output.toLocaleString('en')} out`,
    costUsd === null ? null : formatUsd(costUsd),
  ];
  return parts.filter((part) => part !== null).join(', ');
}

/** One task, whole. */
export function taskDetails(task: Task, now: number, paint: Paint): string[] {
  const time = (iso: string | null): string =>
    iso === null ? '' : `${formatLocalTime(Date.parse(iso))} (${formatRelative(iso, now)})`;
  const rows: [string, string | number | null][] = [
    ['Agent', task.agent ?? '(default)'],
    ['Priority', task.priority],
    ['Attempt', `${task.attempt} of ${task.maxAttempts}`],
    ['Source', task.source],
    ['Created', time(task.createdAt)],
    ['Runs at', time(task.runAt)],
    ['Started', time(task.startedAt)],
    ['Ended', time(task.completedAt)],
    ['Took', task.startedAt === null ? null : took(task, now)],
    ['PID', task.pid],
    ['Exit code', task.exitCode],
    ['Signal', task.signal],
    ['Cost', task.costUsd === null ? null : formatUsd(task.costUsd)],
    ['Output', task.outputBytes === 0 ? null : formatBytes(task.outputBytes)],
    ['Folder', task.cwd],
    ['Key', task.key],
    ['Session', task.sessionId],
    ['Talk', task.conversation],
    ['At work', progressText(task.progress)],
    ['Rule', task.ruleId],
    ['Caused by', task.causedBy],
  ];
  const texts: [string, string | null][] = [
    ['Prompt', task.prompt],
    ['Says', task.progress?.text ?? null],
    ['Result', task.result],
    ['Error', task.error],
  ];
  return [
    `${paint('bold', task.id)}  ${paint(STATE_COLORS[task.state], stateText(task))}`,
    ...rows
      .filter(([, value]) => value !== null && value !== '')
      .map(([label, value]) => `${label.padEnd(LABEL_WIDTH)}${visibleLine(String(value))}`),
    ...texts
      .filter(([, text]) => text !== null && text !== '')
      .flatMap(([label, text]) => [
        '',
        paint('bold', label),
        ...visibleText(text ?? '')
          .trimEnd()
          .split('\n'),
      ]),
  ];
}
