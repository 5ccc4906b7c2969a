import { systemClock } from '../../platform/clock.js';
import type { DaemonStatus } from '../../protocol/status.js';
import { TASK_STATES } from '../../protocol/task.js';
import type { Paint } from '../output/color.js';
import { formatDuration, formatLocalTime, plural } from '../output/format.js';
import { visibleLine } from '../output/text.js';
import { automationText, schedulerText, watcherText, webhookText } from './source-lines.js';

const LABEL_WIDTH = 14;
/** Ids shown of those that run. */
const SHOWN_IDS = 10;

/** A part of a subsystem's report in words: `paths 3`, `polling`, `slack connected`. */
function describe(name: string, value: unknown): string {
  const label = name
    .replaceAll('_', ' ')
    .replace(/([a-z])([A-Z])/g, (_all, a: string, b: string) => `${a} ${b.toLowerCase()}`);
  if (value === true) return label;
  if (Array.isArray(value)) {
    const texts = value.every((item) => typeof item === 'string');
    return `${label} ${texts && value.length > 0 ? value.join(', ') : value.length}`;
  }
  return `${label} ${String(value)}`;
}

/** One line for a subsystem whose report differs from one to the next. */
function summary(report: Record<string, unknown>): string {
  if (report['enabled'] === false) return 'off';
  const parts = Object.entries(report)
    .filter(([name, value]) => name !== 'enabled' && value !== null && value !== undefined && value !== false)
    .filter(([, value]) => typeof value !== 'object' || Array.isArray(value))
    .map(([name, value]) => describe(name, value));
  return visibleLine(parts.length === 0 ? 'on' : parts.join(', '));
}

function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${text}`;
}

/** What keeps agents back, and what they have cost today where a budget bounds it. */
function limitLines(supervisor: DaemonStatus['subsystems']['supervisor'], paint: Paint): string[] {
  // An older daemon does not tell.
  const {
    spentTodayUsd = 0,
    reservedUsd = 0,
    dayLimitUsd = null,
    paused = [],
  } = supervisor as Partial<typeof supervisor>;
  const spent = `$${spentTodayUsd.toFixed(2)}${dayLimitUsd === null ? '' : ` of $${dayLimitUsd.toFixed(2)}`} spent today`;
  const reserved = reservedUsd > 0 ? `, $${reservedUsd.toFixed(2)} reserved` : '';
  const money =
    dayLimitUsd === null && spentTodayUsd === 0 && reservedUsd === 0 ? [] : [row('', `${spent}${reserved}`)];
  const pauses = paused.map(({ provider, agents, until, reason }) => {
    const which = visibleLine(`${provider} (${agents.join(', ')})`);
    const why = reason === 'rate_limit' ? 'has met its limit' : 'is overloaded';
    // Its end is past while an attempt is sent ahead.
    const then =
      Date.parse(until) > systemClock.now()
        ? ` and pauses until ${formatLocalTime(Date.parse(until))}`
        : '; one attempt is under way to see whether it goes on';
    return row('', paint('yellow', `${which} ${why}${then}`));
  });
  return [...money, ...pauses];
}

/** The human view of `daemon.status`. */
export function statusLines(status: DaemonStatus, paint: Paint): string[] {
  const { ipc, supervisor, automation, file_watcher, scheduler, messaging } = status.subsystems;
  const { webhook } = status.subsystems as { webhook?: Record<string, unknown> };
  const counts = TASK_STATES.filter((state) => status.task_stats[state] > 0).map(
    (state) => `${status.task_stats[state]} ${state}`,
  );
  const { issues } = status.health;
  const running = supervisor.tasks.running.slice(0, SHOWN_IDS).join(', ');
  return [
    `${paint('bold', `aiwgd ${status.version}`)} is ${paint('green', 'running')} (PID: ${status.pid})`,
    row('Project', visibleLine(status.project)),
    row(
      'Uptime',
      `${formatDuration(status.uptime_seconds * 1_000)}, since ${formatLocalTime(Date.parse(status.started_at))}`,
    ),
    row('Health', paint(issues.length === 0 ? 'green' : 'yellow', status.health.status)),
    ...issues.map((issue) => row('', paint('yellow', `${issue.code}: ${visibleLine(issue.message)}`))),
    row('Tasks', counts.length === 0 ? 'none yet' : counts.join(', ')),
    '',
    paint('bold', 'Subsystems'),
    row(
      'supervisor',
      `${supervisor.running} of ${supervisor.maxConcurrency} running${running === '' ? '' : ` (${running})`}, ${supervisor.queued} queued`,
    ),
    ...limitLines(supervisor, paint),
    row('automation', automationText(automation)),
    row('ipc', `${plural(ipc.clients, 'client')}, ${plural(ipc.subscriptions, 'subscription')}`),
    row('file watcher', watcherText(file_watcher)),
    row('scheduler', schedulerText(scheduler)),
    row('webhook', webhookText(webhook)),
    row('messaging', summary(messaging)),
  ];
}

/** The human view of a project without a daemon; `tasksLeft` are those whose agents run all the same. */
export function stoppedLines(tasksLeft: readonly string[]): string[] {
  if (tasksLeft.length === 0) return ['Daemon is not running'];
  const shown = tasksLeft.slice(0, SHOWN_IDS).join(', ');
  const more = tasksLeft.length > SHOWN_IDS ? ', …' : '';
  return [
    `Daemon is not running, but agents that it left are: ${plural(tasksLeft.length, 'task')} (${shown}${more})`,
    'aiwgd start takes them over; aiwgd stop ends them',
  ];
}
