import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { AiwgdError } from '../protocol/errors.js';

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
  return ` Did you mean "${closest(name, known)}"?`;
}

/** The error for parameters that their schema refused; its data lists every problem. */
export function invalidParams(method: string, schema: z.ZodType, error: z.ZodError): AiwgdError {
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const problems: ParamsProblem[] = [];
  for (const issue of error.issues) {
    problems.push(...problemsOf(issue, known));
    if (problems.length >= MOST_PROBLEMS_LISTED) break;
  }
  return paramsError(method, problems.slice(0, MOST_PROBLEMS_LISTED));
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

function problemsOf(issue: z.core.$ZodIssue, known: readonly string[]): ParamsProblem[] {
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const hints = issue.path.length === 0 ? known : [];
    return issue.keys.slice(0, MOST_PROBLEMS_LISTED).map((key) => ({
      path: path === '' ? shown(key) : `${path}.${shown(key)}`,
      message: `unknown parameter.${suggestion(key, hints)}`,
    }));
  }
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    return [{ path, message: `is missing (expected ${issue.expected})` }];
  }
  return [{ path, message: issue.message }];
}

function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? shown(String(step)) : `.${shown(String(step))}`;
  }
  return text;
}
