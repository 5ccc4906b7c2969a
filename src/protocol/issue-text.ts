import * as v from 'valibot';
import { type Issue, type Schema, UNKNOWN_KEY } from './schema.js';

/**
 * Runs a schema. The message of every issue says in plain words what would be right, as half a sentence (`must be 1 or
 * more`), and never repeats the value, which may be long or secret.
 */
export function check<T>(schema: Schema<T>, value: unknown): v.SafeParseResult<Schema<T>> {
  return v.safeParse(schema, value, { message: plainMessage });
}

const KIND_NAMES: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  strict_object: 'an object',
  record: 'an object',
  variant: 'an object',
  array: 'a list',
  tuple_with_rest: 'a list',
  null: 'null',
};

/** What kind of value the issue asks for; undefined where the kind is right. */
export function expectedKind(issue: Issue): string | undefined {
  return issue.type === 'variant' && issue.requirement !== undefined ? undefined : KIND_NAMES[issue.type];
}

const WITH_VALUES: ReadonlySet<string> = new Set(['picklist', 'literal', 'variant']);

/** The values that would fit, where the issue is about a choice between a few. */
export function expectedValues(issue: Issue): readonly unknown[] | undefined {
  return WITH_VALUES.has(issue.type) ? (issue.requirement as readonly unknown[] | undefined) : undefined;
}

/** The issues of each branch of a choice of which none fits. */
export function branchesOf(issue: Issue): readonly (readonly Issue[])[] | undefined {
  return issue.type === 'union' ? (issue.requirement as readonly (readonly Issue[])[]) : undefined;
}

/** The keys that are known where this one is not. */
export function knownKeys(issue: Issue): readonly string[] | undefined {
  return issue.type === UNKNOWN_KEY ? (issue.requirement as readonly string[]) : undefined;
}

function plainMessage(issue: Issue): string {
  return issue.input === undefined ? `is missing; ${rule(issue)}` : rule(issue);
}

function rule(issue: Issue): string {
  const kinds = kindsOf(issue);
  if (kinds.length > 0) return `must be ${kinds.join(' or ')}`;
  const values = expectedValues(issue);
  if (values !== undefined) {
    const known = values.map((one) => JSON.stringify(one)).join(', ');
    return `must be ${values.length > 1 ? 'one of ' : ''}${known}`;
  }
  return issue.type === UNKNOWN_KEY ? 'unknown key' : boundText(issue);
}

/** The kinds of which the value has none: one, or those of the branches of a choice. */
function kindsOf(issue: Issue): string[] {
  const branches = branchesOf(issue);
  if (branches !== undefined) return [...new Set(branches.flatMap((branch) => branch.flatMap(kindsOf)))];
  const kind = expectedKind(issue);
  return kind === undefined || issue.path !== undefined ? [] : [kind];
}

function boundText({ type, requirement, input }: Issue): string {
  const bound = String(requirement);
  const list = Array.isArray(input);
  switch (type) {
    case 'min_value':
      return `must be ${bound} or more`;
    case 'max_value':
      return `must be ${bound} or less`;
    case 'gt_value':
      return `must be more than ${bound}`;
    case 'finite':
      return 'must be a finite number';
    case 'min_length':
      if (!list) return 'must not be empty';
      return `must have at least ${requirement === 1 ? 'one entry' : `${bound} entries`}`;
    case 'max_length':
      return list
        ? `must not have more than ${bound} entries`
        : `must not be longer than ${bound} characters`;
    default:
      return 'is not right here';
  }
}
