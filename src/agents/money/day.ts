export { startOfLocalDay as startOfDay } from '../../tasks/charges.js';

/** Start of the next local day. By the calendar: a day of 23 or 25 hours is one day too. */
export function startOfNextDay(now: number): number {
  const date = new Date(now);
  // Where midnight itself is left out by a change of the clock, this is the first moment after it.
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
}
