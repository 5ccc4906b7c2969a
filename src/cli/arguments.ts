import { AiwgdError } from '../protocol/errors.js';
import { InvalidArgumentError } from './commander.js';

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30s`, `5m`, `2h`, `1d`, `250ms`, or plain seconds, in milliseconds; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  const ms = Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? 's'] ?? 0));
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** The moment that `--since` names: a length of time before `now`, or a date. In ms since 1970; undefined for neither. */
export function parseMoment(text: string, now: number): number | undefined {
  const ago = parseDurationMs(text);
  if (ago !== undefined) return now - ago;
  const time = Date.parse(text);
  return /\d{4}-\d{2}/.test(text) && Number.isFinite(time) ? time : undefined;
}

/** As `parseMoment`, for an option that may be missing. Throws USAGE for what is no moment. */
export function sinceOption(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const moment = parseMoment(text, now);
  if (moment !== undefined) return moment;
  throw new AiwgdError(
    'USAGE',
    `--since ${text}: write a length of time such as 10m or 2h, or a date such as 2026-11-22T08:00.`,
  );
}

export function durationArgument(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError('Write 30s, 5m, 2h, 1d or a number of seconds.');
  return ms;
}

/** A parser for whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[+-]?\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** A parser for numbers above 0 in a unit of `unitMs` milliseconds; the result is in milliseconds. */
export function positiveTime(unitMs: number): (text: string) => number {
  return (text) => {
    const ms = Math.round(Number(text) * unitMs);
    if (!/^\d+(\.\d+)?$/.test(text) || ms < 1 || !Number.isSafeInteger(ms)) {
      throw new InvalidArgumentError('It must be a number above 0.');
    }
    return ms;
  };
}

/** A day: no grace is longer. */
const MOST_SECONDS = 86_400;

/** A parser for times from 0 to a day, given in seconds; the result is in milliseconds. */
export function secondsArgument(text: string): number {
  const ms = Math.round(Number(text) * 1_000);
  if (!/^\d+(\.\d+)?$/.test(text) || ms > MOST_SECONDS * 1_000) {
    throw new InvalidArgumentError(`It must be a number of seconds, at most ${MOST_SECONDS}.`);
  }
  return ms;
}

/**
 * A program and its arguments: a JSON array, or words between blanks. No shell reads them, so characters that one would
 * read are refused instead of being taken literally.
 */
export function commandArgument(text: string): string[] {
  if (text.trimStart().startsWith('[')) return commandOfJson(text);
  const words = text.split(/\s+/u).filter((word) => word !== '');
  if (words.length === 0) throw new InvalidArgumentError('Write a program and its arguments.');
  if (/["'`$&|;<>\\*?(){}~#]/u.test(text)) {
    throw new InvalidArgumentError(
      'No shell reads it. Write plain words, a JSON array such as ["npm","run","my test"], or put it into a script.',
    );
  }
  return words;
}

function commandOfJson(text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`This is no JSON array: ${error instanceof Error ? error.message : ''}`);
  }
  const isCommand = (all: unknown): all is string[] =>
    Array.isArray(all) && all.length > 0 && all.every((word) => typeof word === 'string');
  if (isCommand(value)) return value;
  throw new InvalidArgumentError('It must be an array of strings, the program first.');
}
