import { failureOf } from './failure-of.js';

/** Whether a name is a time zone of the IANA list, such as `Europe/Berlin` or `UTC`. */
export function isTimezone(name: string): boolean {
  // Newer versions of Node also take offsets such as +02:00; with Node 20 they would fail.
  if (!/^[A-Za-z]/.test(name)) return false;
  return failureOf(() => new Intl.DateTimeFormat('en-US', { timeZone: name })) === undefined;
}

/** The time zone of this machine, or of the variable TZ; UTC where that names none. */
export function hostTimezone(): string {
  // Undefined, or no time zone at all, for a TZ that Node does not understand.
  const name = new Intl.DateTimeFormat('en-US').resolvedOptions().timeZone as string | undefined;
  return name !== undefined && isTimezone(name) ? name : 'UTC';
}
