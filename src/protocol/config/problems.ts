import { hideSecrets } from './secrets.js';

export type ConfigPath = readonly (string | number)[];

/** Problems told of one file: more than anybody reads, and finding the place of each takes time. */
export const MOST_PROBLEMS = 1_000;

/** One thing that is wrong with a configuration file, and where. Never holds a secret. */
export interface ConfigProblem {
  /** `schedule.jobs[1].cron`; empty for the file as a whole. */
  path: string;
  /** Counted from 1. */
  line: number;
  /** Counted from 1, in UTF-16 units. */
  column: number;
  /** The value as JSON, shortened; undefined where there is none or where it may be a secret. */
  value?: string;
  /** What is wrong, as half a sentence. */
  message: string;
  /** What would be right, where the message does not already say so. */
  remedy?: string;
}

/** The text of a path: `schedule.jobs[1].cron`, `agents["my agent"].args`. */
export function pathText(path: ConfigPath): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${shorten(hideSecrets(JSON.stringify(key)))}]`;
  }
  return hideSecrets(text);
}

const LONGEST_VALUE = 60;

/** A value as JSON on one line, without secrets and not too long; of lists and objects only what they are. */
export function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : '[…]';
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0 ? '{}' : '{…}';
  return shorten(hideSecrets(JSON.stringify(value) ?? ''));
}

function shorten(text: string): string {
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE - 1)}…` : text;
}

const MOST_SHOWN = 50;

/** All problems as text for a person: a line for each, with its place, its value and what would be right. */
export function formatProblems(file: string, problems: readonly ConfigProblem[]): string {
  const lines = problems.slice(0, MOST_SHOWN).map((problem) => {
    const value = problem.value === undefined ? '' : ` = ${problem.value}`;
    const place = problem.path === '' ? '' : `${problem.path}${value}  `;
    const remedy = problem.remedy === undefined ? '' : `; ${problem.remedy}`;
    return `${file}:${problem.line}:${problem.column}  ${place}${problem.message}${remedy}`;
  });
  if (problems.length > MOST_SHOWN) lines.push(`… and ${problems.length - MOST_SHOWN} more`);
  return lines.join('\n');
}
