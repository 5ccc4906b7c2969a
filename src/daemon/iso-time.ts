import { AiwgdError } from '../protocol/errors.js';

/** The time that a parameter names, in milliseconds since 1970. Throws INVALID_PARAMS for a text that names none. */
export function timeOf(name: string, text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) {
    throw new AiwgdError(
      'INVALID_PARAMS',
      `${name}: ${JSON.stringify(text)} is no time; write 2026-01-31T08:00:00Z`,
    );
  }
  return time;
}
