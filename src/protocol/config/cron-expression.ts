import { createRequire } from 'node:module';
import type * as Croner from 'croner';
import { failureOf } from './failure-of.js';

const FIELDS = [
  { name: 'minutes', low: 0, high: 59, names: [] },
  { name: 'hours', low: 0, high: 23, names: [] },
  { name: 'days of the month', low: 1, high: 31, names: [] },
  {
    name: 'months',
    low: 1,
    high: 12,
    names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  },
  { name: 'days of the week', low: 0, high: 7, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
] as const;

/** The short forms of cron that need no five fields. */
export const CRON_NICKNAMES = [
  '@yearly',
  '@annually',
  '@monthly',
  '@weekly',
  '@daily',
  '@midnight',
  '@hourly',
] as const;

let loaded: typeof Croner | undefined;

/** Plain expressions are judged without it, so most daemons start without the 4 ms that loading takes. */
function croner(): typeof Croner {
  loaded ??= createRequire(import.meta.url)('croner') as typeof Croner;
  return loaded;
}

/** Longer than any sensible list of all sixty minutes. */
const MAX_LENGTH = 512;

/**
 * What is wrong with a cron expression (five fields, or a nickname such as `@daily`), as half a sentence; undefined
 * when nothing is. An expression that is well formed but never fires (`0 0 31 2 *`) is no problem here: see `cronNeverFires`.
 */
export function cronProblem(expression: string): string | undefined {
  const text = expression.trim();
  if (text === '') return 'must not be empty; five fields: minute hour day-of-month month day-of-week';
  if (text.length > MAX_LENGTH) return `must not be longer than ${MAX_LENGTH} characters`;
  if (text.startsWith('@')) {
    if ((CRON_NICKNAMES as readonly string[]).includes(text.toLowerCase())) return undefined;
    return `unknown short form; there are ${CRON_NICKNAMES.join(', ')}`;
  }
  const fields = text.split(/\s+/);
  if (fields.length !== FIELDS.length) {
    const count = fields.length === 1 ? '1 field' : `${fields.length} fields`;
    return `has ${count}, but needs five: minute hour day-of-month month day-of-week`;
  }
  for (const [index, field] of FIELDS.entries()) {
    const problem = fieldProblem(fields[index] ?? '', field);
    if (problem !== undefined) return problem;
  }
  return fields.every(isPlain) ? undefined : cronerProblem(text);
}

/** Whether a well-formed expression names a date that no year has, such as the 31st of February. */
export function cronNeverFires(expression: string): boolean {
  const fields = expression.trim().split(/\s+/);
  // With a day of the week it fires on that day whatever the date, and most expressions name no single day.
  if (fields.length !== FIELDS.length || fields[2] === '*' || fields[4] !== '*') return false;
  return (
    new (croner().Cron)(expression.trim(), { mode: '5-part', paused: true, timezone: 'UTC' }).nextRun() ===
    null
  );
}

function fieldProblem(text: string, field: (typeof FIELDS)[number]): string | undefined {
  if (!/^[0-9A-Za-z*,/#?+-]+$/.test(text)) return `"${text}" is not a list, range or step of ${field.name}`;
  for (const [part = ''] of text.matchAll(/[^,]+/g)) {
    const [range = '', step] = part.split('/');
    if (step !== undefined && !/^[1-9]\d*$/.test(step)) return `"${part}": a step is a number from 1 up`;
    for (const value of range.split('-')) {
      const problem = valueProblem(value, field);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

function valueProblem(value: string, field: (typeof FIELDS)[number]): string | undefined {
  if (/^\d+$/.test(value)) {
    const number = Number(value);
    if (number >= field.low && number <= field.high) return undefined;
    return `${field.name} go from ${field.low} to ${field.high}; ${value} is outside`;
  }
  if (/^[A-Za-z]{3,}$/.test(value) && !(field.names as readonly string[]).includes(value.toLowerCase())) {
    if (field.names.length === 0) return `${field.name} are numbers; "${value}" is not one`;
    return `unknown name "${value}"; ${field.name} are ${field.names.join(', ')}`;
  }
  // Stars, and what is left (empty ends of ranges, L, W, #), the parser judges.
  return undefined;
}

/** Whether a field whose values lie within their bounds cannot be wrong: `*`, a number, or a list of numbers, or a step that every field takes. */
function isPlain(text: string): boolean {
  return /^(?:\*(?:\/[1-7])?|\d{1,2}(?:,\d{1,2})*)$/.test(text);
}

function cronerProblem(text: string): string | undefined {
  const reason = failureOf(() => new (croner().Cron)(text, { mode: '5-part', paused: true }));
  return reason?.replace(/^Cron\w+: /, '').replace(/^Syntax error, /, '');
}
