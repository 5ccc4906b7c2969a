const MINUTE_MS = 60_000;
const LOWEST = [0, 0, 1, 1, 0];
const HIGHEST = [59, 23, 31, 12, 7];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

function valuesOf(field: string, index: number): Set<number> {
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const [range = '', step = '1'] = part.split('/');
    const ends = range === '*' ? [LOWEST[index], HIGHEST[index]] : range.split('-').map(numberOf);
    for (let value = ends[0]!; value <= ends.at(-1)!; value += Number(step)) {
      values.add(index === 4 ? value % 7 : value);
    }
  }
  return values;
}

function numberOf(text: string): number {
  return DAYS.includes(text) ? DAYS.indexOf(text) : Number(text);
}

const clocks = new Map<string, (time: number) => number>();

/** What the clock on the wall of a time zone shows, as if it showed UTC. */
function wallClock(timezone: string): (time: number) => number {
  const known = clocks.get(timezone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  const seen = new Map<number, number>();
  const wallAt = (time: number): number => {
    const cached = seen.get(time);
    if (cached !== undefined) return cached;
    const part = Object.fromEntries(
      format.formatToParts(time).map(({ type, value }) => [type, Number(value)]),
    );
    const wall = Date.UTC(part['year']!, part['month']! - 1, part['day'], part['hour'], part['minute']);
    seen.set(time, wall);
    return wall;
  };
  clocks.set(timezone, wallAt);
  return wallAt;
}

/**
 * The slots of `from < slot <= until` as cron(8) of Debian would run them, minute by minute: "Special considerations exist
 * when the clock is changed by less than 3 hours": fixed times that were skipped run right after the change, those that
 * are repeated do not run again, jobs with wildcards follow the new time at once. Several of one minute count once.
 */
export function debianSlots(cron: string, timezone: string, from: number, until: number): number[] {
  const fields = cron.split(' ');
  const [minutes, hours, dates, months, days] = fields.map(valuesOf);
  const both = fields[2]!.startsWith('*') || fields[4]!.startsWith('*');
  const wild = fields[0]!.startsWith('*') || fields[1]!.startsWith('*');
  const matches = (wall: number): boolean => {
    const at = new Date(wall);
    const date = dates!.has(at.getUTCDate());
    const day = days!.has(at.getUTCDay());
    return (
      minutes!.has(at.getUTCMinutes()) &&
      hours!.has(at.getUTCHours()) &&
      months!.has(at.getUTCMonth() + 1) &&
      (both ? date && day : date || day)
    );
  };
  const wallAt = wallClock(timezone);
  const slots: number[] = [];
  // Fixed times have been served up to here; it waits while the wall clock repeats an hour.
  let served = wallAt(from);
  for (let time = from + MINUTE_MS; time <= until; time += MINUTE_MS) {
    const wall = wallAt(time);
    let due = wild && matches(wall);
    for (; served < wall; served += MINUTE_MS) due ||= !wild && matches(served + MINUTE_MS);
    if (due) slots.push(time);
  }
  return slots;
}
