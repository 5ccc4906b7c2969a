/** One of the five fields: its name in the plural, its bounds, and the names of its values from `low` on. */
export interface CronField {
  name: string;
  low: number;
  high: number;
  names: readonly string[];
}

/** The five fields of a cron expression, in their order. */
export const CRON_FIELDS = [
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
] as const satisfies readonly CronField[];

/** The short forms of cron, and what they stand for. */
export const CRON_NICKNAMES = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
} as const;
