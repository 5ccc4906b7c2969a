import type { Condition } from '../../protocol/config/rule-schema.js';
import type { Facts, Leaf } from './condition-tree.js';

type TimeCondition = Extract<Condition, { type: 'time' }>;

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const MINUTE_MS = 60_000;

/** The time of day on a wall clock, and the day of the week (0: Sunday). */
interface WallTime {
  minutes: number;
  day: number;
}

/** A wall clock in one time zone. What it showed last is kept: clocks go forward and back by whole minutes. */
class WallClock {
  readonly #format: Intl.DateTimeFormat;
  #minute = Number.NaN;
  #time: WallTime = { minutes: 0, day: 0 };

  constructor(timezone: string | undefined) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
      ...(timezone === undefined ? {} : { timeZone: timezone }),
    });
  }

  at(now: number): WallTime {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.#minute) {
      const parts = new Map(this.#format.formatToParts(now).map(({ type, value }) => [type, value]));
      this.#time = {
        minutes: Number(parts.get('hour')) * 60 + Number(parts.get('minute')),
        day: (DAYS as readonly string[]).indexOf((parts.get('weekday') ?? '').toLowerCase()),
      };
      this.#minute = minute;
    }
    return this.#time;
  }
}

/** One for each time zone that conditions name: the list of zones bounds them. */
const clocks = new Map<string | undefined, WallClock>();

function wallTime(timezone: string | undefined, now: number): WallTime {
  let clock = clocks.get(timezone);
  if (clock === undefined) {
    clock = new WallClock(timezone);
    clocks.set(timezone, clock);
  }
  return clock.at(now);
}

/**
 * A window of the day by the wall clock of a time zone, so that 22:00 is 22:00 in summer and in winter. A window over
 * midnight belongs to the day on which it began; `after` equal to `before` is a window of a whole day.
 */
export function timeCondition(condition: TimeCondition): Leaf {
  const after = condition.after === null ? null : minutesOf(condition.after);
  const before = condition.before === null ? null : minutesOf(condition.before);
  const weekdays = condition.weekdays === null ? null : new Set<string>(condition.weekdays);
  const zoneOf = (facts: Facts): string | undefined => condition.timezone ?? facts.hostTimezone;
  return {
    kind: 'leaf',
    words: wordsOf(condition),
    judge: (_event, facts) => {
      const time = wallTime(zoneOf(facts), facts.now);
      const day = dayOfWindow(time, after, before);
      if (day === undefined) return 'false';
      return weekdays === null || weekdays.has(DAYS[day] ?? '') ? 'true' : 'false';
    },
    why: (_event, facts) => {
      const { minutes, day } = wallTime(zoneOf(facts), facts.now);
      const clock = `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
      return `it is ${DAYS[day] ?? '?'} ${clock} in ${zoneOf(facts) ?? "the host's time zone"}`;
    },
  };
}

/** The day on which the window began that this time lies in; undefined outside of the window. */
function dayOfWindow(time: WallTime, after: number | null, before: number | null): number | undefined {
  const { minutes, day } = time;
  const begun = after === null || minutes >= after;
  const goesOn = before === null || minutes < before;
  const overMidnight = after !== null && before !== null && after >= before;
  if (!overMidnight) return begun && goesOn ? day : undefined;
  if (begun) return day;
  return goesOn ? (day + 6) % 7 : undefined;
}

function minutesOf(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return hours * 60 + minutes;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

function wordsOf({ after, before, weekdays, timezone }: TimeCondition): string {
  return [
    'time',
    after === null ? '' : `from ${after}`,
    before === null ? '' : `before ${before}`,
    weekdays === null ? '' : `on ${weekdays.join(', ')}`,
    timezone === null ? '' : `(${timezone})`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}
