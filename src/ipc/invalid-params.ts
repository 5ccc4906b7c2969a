import { AiwgdError } from '../protocol/errors.js';
import { knownKeys } from '../protocol/issue-text.js';
import { closestOf } from '../protocol/nearest.js';
import type { Issue } from '../protocol/schema.js';

/** One thing that is wrong with the parameters of a call. */
export interface ParamsProblem {
  /** Where, as in `topics[1]`; empty for the parameters as a whole. */
  path: string;
  message: string;
}

const MOST_PROBLEMS_LISTED = 20;
const MOST_PROBLEMS_IN_MESSAGE = 3;
const LONGEST_NAME_SHOWN = 64;

/** A name from outside, cut so that an error stays readable however long the name is. */
export function shown(name: string): string {
  return name.length > LONGEST_NAME_SHOWN ? `${name.slice(0, LONGEST_NAME_SHOWN)}…` : name;
}

/** ` Did you mean "x"?`, or nothing where no known name is near. */
export function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0 || name.length > LONGEST_NAME_SHOWN) return '';
  return ` Did you mean "${closestOf(name, known)}"?`;
}

/** The error for parameters that their schema refused; its data lists every problem. */
export function invalidParams(method: string, issues: readonly Issue[]): AiwgdError {
  const problems = new Map<string, ParamsProblem>();
  for (const issue of issues) {
    const problem = problemOf(issue);
    // Of one parameter only the first fault is told.
    if (!problems.has(problem.path)) problems.set(problem.path, problem);
    if (problems.size === MOST_PROBLEMS_LISTED) break;
  }
  return paramsError(method, [...problems.values()]);
}

export function paramsError(method: string, problems: ParamsProblem[]): AiwgdError {
  const listed = problems
    .slice(0, MOST_PROBLEMS_IN_MESSAGE)
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  if (problems.length > listed.length) listed.push(`and ${problems.length - listed.length} more`);
  return new AiwgdError('INVALID_PARAMS', `Invalid parameters of ${method}: ${listed.join('; ')}`, {
    data: { problems },
  });
}

function problemOf(issue: Issue): ParamsProblem {
  const steps = issue.path ?? [];
  const path = pathText(steps.map(({ key }) => key as string | number));
  const known = knownKeys(issue);
  if (known === undefined) return { path, message: wrongType(issue) ?? issue.message };
  return { path, message: `unknown parameter.${suggestion(String(steps.at(-1)?.key), known)}` };
}

/** JSON's names for what the schemas ask for. */
const TYPES: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  boolean: 'boolean',
  array: 'array',
  strict_object: 'object',
  record: 'object',
};

function wrongType({ type, input }: Issue): string | undefined {
  const expected = TYPES[type];
  if (expected === undefined) return undefined;
  if (input === undefined) return `is missing (expected ${expected})`;
  const received = Array.isArray(input) ? 'array' : typeof input;
  return `expected ${expected}, received ${input === null ? 'null' : received}`;
}

function pathText(path: readonly (string | number)[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? shown(step) : `.${shown(step)}`;
  }
  return text;
}
