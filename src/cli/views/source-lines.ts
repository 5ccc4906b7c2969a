import type { DaemonStatus } from '../../protocol/status.js';
import { formatLocalTime, plural } from '../output/format.js';
import { visibleLine } from '../output/text.js';

/** A part of the daemon's report as it came; what an older or newer daemon does not send is passed over. */
type Report = Record<string, unknown>;

function countOf(value: unknown): number | undefined {
  if (Array.isArray(value)) return value.length;
  return typeof value === 'number' ? value : undefined;
}

function counted(value: unknown, one: string): string {
  const count = countOf(value);
  return count === undefined ? '' : plural(count, one);
}

function listed(parts: readonly string[]): string {
  const given = parts.filter((part) => part !== '');
  return given.length === 0 ? 'on' : visibleLine(given.join(', '));
}

/** `4 rules, 1 paused, 2 gates wait for an answer`. */
export function automationText(report: DaemonStatus['subsystems']['automation']): string {
  const { enabled, rules, gatesPending: gates } = report;
  const paused = rules.filter((rule) => rule.paused && rule.enabled).length;
  const waiting = gates === 1 ? '1 gate waits for an answer' : `${gates} gates wait for an answer`;
  const asks = gates > 0 ? [`${waiting} (aiwgd gate list)`] : [];
  if (!enabled) return ['off', ...asks].join(', ');
  return [plural(rules.length, 'rule'), ...(paused > 0 ? [`${paused} paused`] : []), ...asks].join(', ');
}

/** `docs, src: 1200 files, 30 folders, 17 events, polling`. */
export function watcherText(report: Report): string {
  const { enabled, paths, files, directories, events_received: events, polling } = report;
  if (enabled === false) return 'off';
  const names = Array.isArray(paths)
    ? paths.map((path: unknown) => pathName(path)).filter((name) => name !== undefined)
    : [];
  const counts = listed([
    counted(files, 'file'),
    counted(directories, 'folder'),
    counted(events, 'event'),
    polling === true ? 'polling' : '',
  ]);
  return names.length === 0 ? counts : `${visibleLine(names.join(', '))}: ${counts}`;
}

function pathName(path: unknown): string | undefined {
  const name = typeof path === 'object' && path !== null ? (path as { path?: unknown }).path : path;
  return typeof name === 'string' ? name : undefined;
}

/** `3 jobs, next nightly at 2026-11-23 02:00:00`. */
export function schedulerText(report: Report): string {
  const { enabled, jobs, next } = report;
  if (enabled === false) return 'off';
  const { id, at } = (next ?? {}) as { id?: unknown; at?: unknown };
  const time = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  const coming =
    typeof id === 'string' && !Number.isNaN(time) ? `next ${id} at ${formatLocalTime(time)}` : '';
  return listed([counted(jobs, 'job'), coming]);
}

/** `http://127.0.0.1:9471`. */
export function webhookText(report: Report | undefined): string {
  if (report === undefined || report['enabled'] !== true) return 'off';
  const { host, port, listening } = report;
  if (listening === false) return 'on, but not listening';
  if (typeof host !== 'string' || typeof port !== 'number') return 'on';
  return visibleLine(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
}
