const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in its two largest units: `340 ms`, `4.2 s`, `3m 12s`, `2h 5m`, `3d 4h`. */
export function formatDuration(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  const pair = (large: number, largeName: string, small: number, smallName: string): string => {
    const rest = Math.floor((ms % large) / small);
    return `${Math.floor(ms / large)}${largeName}${rest === 0 ? '' : ` ${rest}${smallName}`}`;
  };
  if (ms < HOUR) return pair(MINUTE, 'm', SECOND, 's');
  if (ms < DAY) return pair(HOUR, 'h', MINUTE, 'm');
  return pair(DAY, 'd', HOUR, 'h');
}

/** How long ago, or in how long: `5s ago`, `in 2h`; in one unit, for tables. */
export function formatRelative(time: string | null, now: number): string {
  if (time === null) return '-';
  const distance = now - Date.parse(time);
  const size = Math.abs(distance);
  const units = [
    [DAY, 'd'],
    [HOUR, 'h'],
    [MINUTE, 'm'],
    [SECOND, 's'],
  ] as const;
  const [unit, name] = units.find(([length]) => size >= length) ?? [SECOND, 's'];
  const text = `${Math.floor(size / unit)}${name}`;
  return distance >= 0 ? `${text} ago` : `in ${text}`;
}

/** A number of bytes in powers of 1024: `0 B`, `1.5 KiB`, `50 MiB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let power = 0;
  while (value >= 1024 && power < names.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${names[power]}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Local time to the second: `2026-11-22 08:15:01`. */
export function formatLocalTime(ms: number): string {
  const date = new Date(ms);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Time in a time zone, with its day of the week and the zone's name: `Sun 2026-11-22 08:15:01 UTC`. */
export function formatZonedTime(ms: number, timezone: string): string {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    weekday: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
  });
  const part = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  const { weekday, year, month, day, hour, minute, second, timeZoneName } = part;
  return `${weekday} ${year}-${month}-${day} ${hour}:${minute}:${second} ${timeZoneName}`;
}

/** Dollars with two digits behind the point, and more where the amount has them: `$12.50`, `$0.3042`, `$0.000018`. */
export function formatUsd(amount: number): string {
  const most = amount > 0 && amount < 0.001 ? 6 : 4;
  return `$${amount.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: most })}`;
}

/** `1 agent`, `2 agents`. */
export function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}
