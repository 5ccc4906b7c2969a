import { CRON_FIELDS, CRON_NICKNAMES, type CronField } from './cron-fields.js';
import { CronTimes } from './cron-times.js';
import { failureOf } from './failure-of.js';
import { croner } from './load-croner.js';

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
    if (Object.hasOwn(CRON_NICKNAMES, text.toLowerCase())) return undefined;
    return `unknown short form; there are ${Object.keys(CRON_NICKNAMES).join(', ')}`;
  }
  const fields = text.split(/\s+/);
  if (fields.length !== CRON_FIELDS.length) {
    const count = fields.length === 1 ? '1 field' : `${fields.length} fields`;
    return `has ${count}, but needs five: minute hour day-of-month month day-of-week`;
  }
  for (const [index, field] of CRON_FIELDS.entries()) {
    const problem = fieldProblem(fields[index] ?? '', field);
    if (problem !== undefined) return problem;
  }
  return fields.every(isPlain) ? undefined : cronerProblem(text);
}

/** Whether a well-formed expression names a date that no year has, such as the 31st of February. */
export function cronNeverFires(expression: string): boolean {
  const [, , dayOfMonth = '*', , dayOfWeek = '*'] = expression.trim().split(/\s+/);
  // Where either day is enough it fires on that day of the week, and most expressions name no day of the month.
  if (dayOfMonth === '*' || !/^[*?]/.test(dayOfWeek)) return false;
  return new CronTimes(expression, 'UTC').next(0) === null;
}

function fieldProblem(text: string, field: CronField): string | undefined {
  const allowed = field.name.startsWith('days') ? /^[0-9A-Za-z*,/#?+-]+$/ : /^[0-9A-Za-z*,/-]+$/;
  if (!allowed.test(text)) return `"${text}" is not a list, range or step of ${field.name}`;
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

function valueProblem(value: string, field: CronField): string | undefined {
  if (/^\d+$/.test(value)) {
    const number = Number(value);
    if (number >= field.low && number <= field.high) return undefined;
    return `${field.name} go from ${field.low} to ${field.high}; ${value} is outside`;
  }
  if (/^[A-Za-z]{3,}$/.test(value) && !field.names.includes(value.toLowerCase())) {
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
