import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import type { Finding } from './document.js';
import { type ConfigPath, MOST_PROBLEMS } from './problems.js';

type Issue = z.core.$ZodIssue;
type UnionIssue = z.core.$ZodIssueInvalidUnion;

/**
 * Passed to the schema with each run: an unknown key's issue carries as its message the keys that are known at that
 * place (JSON), which the schema knows and the issue otherwise does not.
 */
export function rememberKnownKeys(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== 'unrecognized_keys') return undefined;
  const shape = (issue.inst as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def?.shape;
  return JSON.stringify(Object.keys(shape ?? {}));
}

/** Turns the schema's issues into findings that say in plain words what is wrong and what would be right. */
export function explainIssues(issues: readonly Issue[], input: unknown): Finding[] {
  return issues.flatMap((issue) => explain(issue, input, []));
}

function explain(issue: Issue, input: unknown, base: ConfigPath): Finding[] {
  const path = [...base, ...(issue.path as (string | number)[])];
  if (issue.code === 'unrecognized_keys') return unknownKeys(issue, path);
  if (issue.code === 'invalid_union') return explainUnion(issue, input, path);
  if (issue.code === 'invalid_key') {
    const message = issue.issues.map((inner) => plainMessage(inner, '')).join('; ');
    return [{ path, message: `the name ${message}`, atKey: true }];
  }
  const value = valueAt(input, path);
  return [{ path, message: plainMessage(issue, value), ...nearestValue(issue, value) }];
}

function unknownKeys(issue: z.core.$ZodIssueUnrecognizedKeys, path: ConfigPath): Finding[] {
  const known = JSON.parse(issue.message) as string[];
  return issue.keys.slice(0, MOST_PROBLEMS).map((key) => {
    const near = nearest(key, known);
    const remedy = near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`;
    return { path: [...path, key], message: 'unknown key', remedy, atKey: true };
  });
}

/** Only the branch that the value was meant for is explained; where none was, what the branches would take. */
function explainUnion(issue: UnionIssue, input: unknown, path: ConfigPath): Finding[] {
  if (issue.errors.length === 0) return [unknownKind(issue, valueAt(input, path), path)];
  const ranked = issue.errors.map((branch) => ({ branch, rank: misfit(branch) }));
  const best = ranked.reduce((a, b) => (b.rank < a.rank ? b : a));
  if (best.rank < WRONG_TYPE) return best.branch.flatMap((inner) => explain(inner, input, path));
  const kinds = [...new Set(issue.errors.flatMap(expectedKinds))];
  return [{ path, message: `${missing(valueAt(input, path))}must be ${kinds.join(' or ')}` }];
}

function unknownKind(issue: UnionIssue, value: unknown, path: ConfigPath): Finding {
  const kinds = 'options' in issue && Array.isArray(issue.options) ? issue.options : [];
  const known = kinds.filter((kind) => typeof kind === 'string');
  return {
    path,
    message: `${missing(value)}must be one of ${known.map((kind) => `"${kind}"`).join(', ')}`,
    ...suggestion(value, known),
  };
}

const WRONG_TYPE = 1_000_000;
const WRONG_KIND = 10_000;

/** How little a branch of a union fits: a wrong type most of all, then a wrong `type`, then the number of faults. */
function misfit(branch: readonly Issue[]): number {
  let sum = 0;
  for (const issue of branch) {
    if (issue.path.length === 0 && issue.code === 'invalid_type') sum += WRONG_TYPE;
    else if (issue.path.length === 0 && issue.code === 'invalid_union') {
      sum += issue.errors.length === 0 ? WRONG_KIND : Math.min(...issue.errors.map(misfit));
    } else if (issue.path.length === 1 && issue.path[0] === 'type') sum += WRONG_KIND;
    else sum += issue.code === 'unrecognized_keys' ? issue.keys.length : 1;
  }
  return sum;
}

function expectedKinds(branch: readonly Issue[]): string[] {
  return branch.flatMap((issue) => {
    if (issue.code === 'invalid_union') return issue.errors.flatMap(expectedKinds);
    return issue.code === 'invalid_type' ? [kindName(issue.expected)] : [];
  });
}

const KIND_NAMES: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  tuple: 'a list',
  null: 'null',
};

function kindName(kind: string): string {
  return KIND_NAMES[kind] ?? kind;
}

function missing(value: unknown): string {
  return value === undefined ? 'is missing; ' : '';
}

function plainMessage(issue: Issue, value: unknown): string {
  if (issue.code === 'invalid_type') return `${missing(value)}must be ${kindName(issue.expected)}`;
  if (issue.code === 'too_small') return tooSmall(issue);
  if (issue.code === 'too_big') return tooBig(issue);
  if (issue.code !== 'invalid_value') return issue.message;
  const known = issue.values.map((one) => JSON.stringify(one)).join(', ');
  return `${missing(value)}must be ${issue.values.length > 1 ? 'one of ' : ''}${known}`;
}

function tooSmall(issue: z.core.$ZodIssueTooSmall): string {
  if (issue.origin === 'string') return 'must not be empty';
  if (issue.origin === 'array')
    return `must have at least ${issue.minimum === 1 ? 'one entry' : `${issue.minimum} entries`}`;
  return issue.inclusive === false
    ? `must be more than ${issue.minimum}`
    : `must be ${issue.minimum} or more`;
}

function tooBig(issue: z.core.$ZodIssueTooBig): string {
  if (issue.origin === 'string') return `must not be longer than ${issue.maximum} characters`;
  if (issue.origin === 'array') return `must not have more than ${issue.maximum} entries`;
  return `must be ${issue.maximum} or less`;
}

function nearestValue(issue: Issue, value: unknown): { remedy?: string } {
  if (issue.code !== 'invalid_value') return {};
  return suggestion(
    value,
    issue.values.filter((one) => typeof one === 'string'),
  );
}

function suggestion(value: unknown, known: readonly string[]): { remedy?: string } {
  const near = typeof value === 'string' ? nearest(value, known) : undefined;
  return near === undefined ? {} : { remedy: `did you mean "${near}"?` };
}

/** So that `maxPerHour`, `max-per-hour` and `max_per_hour` are the same. */
function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[_\s-]/g, '');
}

/** The known word nearest to a mistyped one, or undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0 || word.length < 2 || word.length > 100) return undefined;
  const same = known.find((one) => plain(one) === plain(word));
  if (same !== undefined) return same;
  const best = closest(word, known);
  return distance(word, best) <= Math.max(1, Math.floor(word.length * 0.4)) ? best : undefined;
}

/** The part of a value at a path; undefined where it has none. */
export function valueAt(value: unknown, path: ConfigPath): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}
