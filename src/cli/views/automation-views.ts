import type {
  AutomationStatus,
  Execution,
  RuleStatus,
  RuleVerdict,
  RunState,
} from '../../protocol/automation.js';
import type { Color, Paint } from '../output/color.js';
import { formatDuration, formatLocalTime, formatRelative, plural } from '../output/format.js';
import { tableLines } from '../output/table.js';
import { visibleLine } from '../output/text.js';

const RUN_COLORS: Record<RunState, Color> = {
  waiting: 'dim',
  running: 'cyan',
  completed: 'green',
  failed: 'red',
  cancelled: 'yellow',
  rejected: 'yellow',
};
const RULE_COLORS: Record<string, Color> = { on: 'green', off: 'dim', paused: 'yellow' };
/** Times that are told of one rule. */
const SHOWN_TIMES = 10;

function ruleState(rule: RuleStatus): string {
  if (!rule.enabled) return 'off';
  if (rule.paused) return 'paused';
  return 'on';
}

function atWork({ running, waiting }: RuleStatus): string {
  const parts = [running > 0 ? `${running} running` : '', waiting > 0 ? `${waiting} waiting` : ''];
  return parts.filter((part) => part !== '').join(', ') || '-';
}

function took(run: Execution, now: number): string {
  const end = run.endedAt === null ? now : Date.parse(run.endedAt);
  return formatDuration(Math.max(0, end - Date.parse(run.startedAt)));
}

function ruleTable(rules: readonly RuleStatus[], now: number, columns: number, paint: Paint): string[] {
  return tableLines(
    [
      { title: 'RULE' },
      { title: 'STATE', color: (cell) => RULE_COLORS[cell] },
      { title: 'FIRED', align: 'right' },
      { title: 'LAST', align: 'right' },
      { title: 'AT WORK' },
      { title: 'TRIGGER', flexible: true },
    ],
    rules.map((rule) => [
      visibleLine(rule.id),
      ruleState(rule),
      String(rule.firedCount),
      formatRelative(rule.lastFiredAt, now),
      atWork(rule),
      visibleLine(rule.trigger),
    ]),
    columns,
    paint,
  );
}

function runTable(runs: readonly Execution[], now: number, columns: number, paint: Paint): string[] {
  return tableLines(
    [
      { title: 'RUN' },
      { title: 'OF' },
      { title: 'STATE', color: (cell) => RUN_COLORS[cell as RunState] },
      { title: 'STARTED', align: 'right' },
      { title: 'TOOK', align: 'right' },
      { title: 'TASKS' },
      { title: 'ERROR', flexible: true },
    ],
    runs.map((run) => [
      visibleLine(run.runId),
      visibleLine(run.ruleId ?? `job ${run.jobId ?? '-'}`),
      run.state,
      formatRelative(run.startedAt, now),
      took(run, now),
      visibleLine(run.taskIds.join(' ') || '-'),
      visibleLine(run.error ?? ''),
    ]),
    columns,
    paint,
  );
}

/** The human view of `automation.status`. */
export function automationLines(
  status: AutomationStatus,
  now: number,
  columns: number,
  paint: Paint,
): string[] {
  const { enabled, rules, recentExecutions: runs } = status;
  const paused = rules.filter((rule) => rule.enabled && rule.paused);
  return [
    enabled
      ? `Automation is ${paint('green', 'on')}: ${plural(rules.length, 'rule')}`
      : `Automation is ${paint('yellow', 'off')}: no rule fires until aiwgd automation enable`,
    ...paused.map(
      ({ id }) =>
        `Rule ${visibleLine(id)} fired too often and has paused itself; aiwgd automation enable --rule ${visibleLine(id)} lets it go on`,
    ),
    ...(rules.length === 0 ? [] : ['', ...ruleTable(rules, now, columns, paint)]),
    ...(runs.length === 0 ? [] : ['', ...runTable(runs, now, columns, paint)]),
  ];
}

function timesText(times: readonly string[]): string {
  const shown = times.slice(-SHOWN_TIMES).map((time) => formatLocalTime(Date.parse(time)));
  const more = times.length > shown.length ? `, and ${times.length - shown.length} earlier` : '';
  return `${plural(times.length, 'time')}: ${shown.join(', ')}${more}`;
}

/** The human view of `automation.test`: the rules that would fire first. */
export function verdictLines(verdicts: readonly RuleVerdict[], paint: Paint): string[] {
  if (verdicts.length === 0) return ['There are no rules'];
  return verdicts
    .toSorted((one, other) => Number(other.fires) - Number(one.fires))
    .flatMap(({ ruleId, fires, why, times = [] }) => [
      `${fires ? paint('green', '✓') : paint('dim', '✗')} ${paint('bold', visibleLine(ruleId))}  ${fires ? 'fires' : 'does not fire'}${why === '' ? '' : `: ${visibleLine(why)}`}`,
      ...(times.length === 0 ? [] : [`    ${timesText(times)}`]),
    ]);
}
