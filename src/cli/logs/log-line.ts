import type { Paint } from '../output/color.js';
import { formatLocalTime } from '../output/format.js';
import { visibleLine, visibleText } from '../output/text.js';

const LEVELS: Record<string, number> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 };
const NAMES = new Map(Object.entries(LEVELS).map(([name, level]) => [level, name.toUpperCase()]));
const COLORS = {
  TRACE: 'dim',
  DEBUG: 'dim',
  INFO: 'green',
  WARN: 'yellow',
  ERROR: 'red',
  FATAL: 'red',
} as const;
/** Fields that say the same on every line. */
const CONSTANT_FIELDS = new Set(['level', 'time', 'msg', 'pid', 'hostname', 'v']);

/** A line of the daemon's log, as far as the command line looks into it. */
export interface LogLine {
  level: number;
  /** Milliseconds since 1970. */
  time: number;
  message: string;
  fields: Record<string, unknown>;
}

/** The number of a level's name; undefined for an unknown name. */
export function levelNumber(name: string): number | undefined {
  return LEVELS[name];
}

/** Undefined for a line that is not one of the daemon's. */
export function parseLogLine(line: string): LogLine | undefined {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    // Not JSON: half a line after a full disk, say. It is shown as it is.
    return undefined;
  }
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { level, time, msg } = entry;
  return {
    level: typeof level === 'number' ? level : (LEVELS[String(level).toLowerCase()] ?? 30),
    time: typeof time === 'number' ? time : Date.parse(String(time)),
    message: typeof msg === 'string' ? msg : '',
    fields: Object.fromEntries(Object.entries(entry).filter(([name]) => !CONSTANT_FIELDS.has(name))),
  };
}

function fieldText(value: unknown): string {
  if (typeof value === 'string')
    return /^[^\s"=]+$/.test(value) ? visibleLine(value) : visibleLine(JSON.stringify(value));
  return visibleLine(JSON.stringify(value) ?? '');
}

/** An error is shown by its message; its stack follows on lines of its own. */
function stackOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { stack } = value as { stack?: unknown };
  return typeof stack === 'string' ? stack : undefined;
}

/** A log line for people: time, level, message, then the fields. */
export function renderLogLine(line: string, paint: Paint): string {
  const entry = parseLogLine(line);
  if (entry === undefined) return visibleText(line);
  const name = NAMES.get(entry.level) ?? String(entry.level);
  const color = COLORS[name as keyof typeof COLORS] ?? 'bold';
  const time = Number.isFinite(entry.time) ? formatLocalTime(entry.time) : '-'.padEnd(19);
  const fields: string[] = [];
  const stacks: string[] = [];
  for (const [key, value] of Object.entries(entry.fields)) {
    const stack = stackOf(value);
    if (stack !== undefined) stacks.push(`\n    ${visibleText(stack).replaceAll('\n', '\n    ')}`);
    const shown = stack === undefined ? value : (value as { message?: unknown }).message;
    fields.push(`${paint('dim', `${visibleLine(key)}=`)}${fieldText(shown)}`);
  }
  const head = `${paint('dim', time)} ${paint(color, name.padEnd(5))} ${visibleLine(entry.message)}`;
  return [head, ...fields].join('  ') + paint('dim', stacks.join(''));
}
