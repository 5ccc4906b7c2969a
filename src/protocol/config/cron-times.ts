import type { Cron } from 'croner';
import { CRON_FIELDS, CRON_NICKNAMES, type CronField } from './cron-fields.js';
import { croner } from './load-croner.js';

const MINUTE_MS = 60_000;
/** How far back the search for the newest slots looks at first; it goes four times as far with every round. */
const FIRST_LOOK_BACK_MS = 60 * MINUTE_MS;
const LOOK_BACK_GROWTH = 4;

/**
 * When a cron expression fires, as Debian's cron has it where implementations differ:
 *
 * - The day of the month and the day of the week are both required where one of the fields begins with a star (one with a step too),
 *   else either is enough.
 * - A job at fixed times (neither minute nor hour begins with a star) that falls into the hour that a change of the clocks
 *   skips runs once right after it; one in the hour that is repeated runs the first time only. Other jobs follow the clock
 *   on the wall: nothing in the skipped hour, both times in the repeated one.
 *
 * Slots are whole minutes in milliseconds since 1970. Pure; what it was asked last it remembers.
 */
export class CronTimes {
  readonly #cron: Cron;
  #asked: { after: number; next: number | null } | undefined;

  /** `expression` must be one that `cronProblem` has no objection to, `timezone` a name that Intl knows. */
  constructor(expression: string, timezone: string) {
    const fields = fiveFields(expression);
    const [minute = '', hour = '', dayOfMonth = '', , dayOfWeek = ''] = fields;
    // The parser takes a field with a step anywhere for one that follows the wall clock, Debian one that begins with a star.
    fields[0] = spelledOut(minute, CRON_FIELDS[0]);
    fields[1] = spelledOut(hour, CRON_FIELDS[1]);
    this.#cron = new (croner().Cron)(fields.join(' '), {
      mode: '5-part',
      paused: true,
      timezone,
      domAndDow: beginsWithStar(dayOfMonth) || beginsWithStar(dayOfWeek),
      fixedTimeRule: 'no-wildcard',
    });
  }

  /** The first slot strictly after `after`; null where none comes before the year 10000. */
  next(after: number): number | null {
    if (this.#asked?.after === after) return this.#asked.next;
    const next = this.#cron.nextRun(new Date(after))?.getTime() ?? null;
    this.#asked = { after, next };
    return next;
  }

  /** The newest slots after `after` and up to `until`, at most `count`, oldest first; and whether those are all. */
  newest(after: number, until: number, count: number): { slots: number[]; all: boolean } {
    let lookBack = FIRST_LOOK_BACK_MS;
    for (;;) {
      const from = Math.max(after, until - lookBack);
      const slots = this.#between(from, until);
      if (slots.length > count) return { slots: slots.slice(-count), all: false };
      if (from <= after) return { slots, all: true };
      if (slots.length === count) return { slots, all: (this.next(after) ?? until) >= (slots[0] ?? until) };
      lookBack *= LOOK_BACK_GROWTH;
    }
  }

  #between(after: number, until: number): number[] {
    const slots: number[] = [];
    for (let slot = this.next(after); slot !== null && slot <= until; slot = this.next(slot))
      slots.push(slot);
    return slots;
  }
}

/** The expression as five fields of plain numbers: `@daily` and `00 0 * * *` are both `0 0 * * *`. */
export function normalizedCron(expression: string): string {
  return fiveFields(expression).map(normalizedField).join(' ');
}

function normalizedField(field: string, index: number): string {
  const { names, low } = CRON_FIELDS[index] ?? CRON_FIELDS[0];
  const numbers = field
    .replace('-sun', '-7')
    .replace(/[a-z]{3}/g, (name) => String((names as readonly string[]).indexOf(name) + low))
    .replace(/\d+/g, (digits) => String(Number(digits)));
  return index === 4 && numbers === '7' ? '0' : numbers;
}

function fiveFields(expression: string): string[] {
  const text = expression.trim().toLowerCase();
  return (CRON_NICKNAMES[text as keyof typeof CRON_NICKNAMES] ?? text).split(/\s+/);
}

function beginsWithStar(field: string): boolean {
  return field.startsWith('*') || field.startsWith('?');
}

/** The field as a list of all its values, unless it begins with a star. */
function spelledOut(field: string, { low, high }: CronField): string {
  if (beginsWithStar(field)) return field;
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const [range = '', step = '1'] = part.split('/');
    const [first = '', last = first] = range === '*' ? [String(low), String(high)] : range.split('-');
    for (let value = Number(first); value <= Number(last); value += Number(step)) values.add(value);
  }
  return [...values].join(',');
}
