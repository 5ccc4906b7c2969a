import type { ChangedFile, PruneAnswer, TaskDiff, TaskMerge, Worktree } from '../../protocol/worktrees.js';
import type { Color, Paint } from '../output/color.js';
import { plural } from '../output/format.js';
import { tableLines } from '../output/table.js';
import { visibleLine, visibleText } from '../output/text.js';

const STATE_COLORS: Record<Worktree['state'], Color> = {
  clean: 'dim',
  dirty: 'yellow',
  unmerged: 'yellow',
  merged: 'green',
  missing: 'red',
};

export function worktreeTable(worktrees: readonly Worktree[], columns: number, paint: Paint): string[] {
  if (worktrees.length === 0) return ['No worktrees'];
  const rows = worktrees.map(({ taskId, state, commits, changedFiles, branch, why }) => [
    visibleLine(taskId),
    state,
    String(commits),
    String(changedFiles),
    visibleLine(branch),
    why === null ? 'can be pruned' : visibleLine(why),
  ]);
  return tableLines(
    [
      { title: 'TASK' },
      { title: 'STATE', color: (cell) => STATE_COLORS[cell as Worktree['state']] },
      { title: 'COMMITS', align: 'right' },
      { title: 'CHANGED', align: 'right' },
      { title: 'BRANCH' },
      { title: 'STAYS BECAUSE', flexible: true },
    ],
    rows,
    columns,
    paint,
  );
}

export function pruneLines({ removed, kept }: PruneAnswer, dryRun: boolean, paint: Paint): string[] {
  const verb = dryRun ? 'would be removed' : 'removed';
  const lines = [
    ...removed.map((taskId) => `${paint('green', verb)}  ${visibleLine(taskId)}`),
    ...kept.map(
      ({ taskId, why }) => `${paint('yellow', 'kept')}  ${visibleLine(taskId)}: ${visibleLine(why)}`,
    ),
  ];
  return lines.length === 0 ? ['No worktrees'] : lines;
}

export function mergeLines({ taskId, merged, commit, files }: TaskMerge): string[] {
  if (!merged) return [`${taskId}: nothing to merge`];
  return [
    `${taskId} merged as ${(commit ?? '').slice(0, 12)}, ${plural(files.length, 'file')}:`,
    ...files.map((file) => `  ${visibleLine(file)}`),
  ];
}

/** The files of a diff with their lines, and the sum of them. */
export function statLines({ files, truncated }: TaskDiff, paint: Paint): string[] {
  if (files.length === 0) return ['No changes'];
  const added = files.reduce((sum, file) => sum + (file.added ?? 0), 0);
  const removed = files.reduce((sum, file) => sum + (file.removed ?? 0), 0);
  return [
    ...files.map((file) => `${visibleLine(file.path)}  ${file.status}${linesText(file, paint)}`),
    `${plural(files.length, 'file')}${truncated ? ' or more' : ''}, +${added} -${removed}`,
  ];
}

function linesText({ added, removed }: ChangedFile, paint: Paint): string {
  if (added === null || removed === null) return ', binary';
  return `, ${paint('green', `+${added}`)} ${paint('red', `-${removed}`)}`;
}

const LINE_COLORS: readonly (readonly [start: string, color: Color])[] = [
  ['diff ', 'bold'],
  ['+++', 'bold'],
  ['---', 'bold'],
  ['@@', 'cyan'],
  ['+', 'green'],
  ['-', 'red'],
];

/** A diff for a terminal: in colours, and with control characters shown, so that no file can paint over it. */
export function diffForTerminal(diff: string, paint: Paint): string {
  return diff
    .split('\n')
    .map((line) => {
      const color = LINE_COLORS.find(([start]) => line.startsWith(start))?.[1];
      const text = visibleText(line);
      return color === undefined || text === '' ? text : paint(color, text);
    })
    .join('\n');
}
