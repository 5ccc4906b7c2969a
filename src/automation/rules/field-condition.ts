import type { Condition, FieldOperator } from '../../protocol/config/rule-schema.js';
import type { Leaf } from './condition-tree.js';
import { MISSING, valueAt } from './event-field.js';
import { Expression } from './expression.js';
import { brief, shown } from './shown-text.js';

type FieldCondition = Extract<Condition, { type: 'field' }>;
type Value = FieldCondition['value'];

const SIGNS: Record<FieldOperator, string> = {
  equals: 'equals',
  not_equals: 'does not equal',
  contains: 'contains',
  matches: 'matches',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  exists: 'exists',
  not_exists: 'does not exist',
};

/**
 * A condition over one field. Of a field that the event does not have, only `not_exists` and `not_equals` are true; a
 * field that is null exists. `equals` tells "5" from 5; the comparisons of size take a text that is a number for it.
 */
export function fieldCondition({ field, operator, value }: FieldCondition): Leaf {
  const path = field.split('.');
  const expression = operator === 'matches' && typeof value === 'string' ? new Expression(value) : undefined;
  const unary = operator === 'exists' || operator === 'not_exists';
  const holds = (found: unknown): boolean =>
    expression === undefined ? COMPARE[operator](found, value) : matches(expression, found);
  return {
    kind: 'leaf',
    words: `${shown(field)} ${SIGNS[operator]}${unary ? '' : ` ${brief(value)}`}`,
    judge: (event) => (holds(valueAt(event, path)) ? 'true' : 'false'),
    why: (event) => whyOf(field, valueAt(event, path), expression),
  };
}

function matches(expression: Expression, found: unknown): boolean {
  const text = textOf(found);
  return text !== undefined && expression.test(text);
}

function whyOf(field: string, found: unknown, expression: Expression | undefined): string {
  if (found === MISSING) return `the event has no ${shown(field)}`;
  const text = textOf(found);
  const problem = text === undefined ? undefined : expression?.explain(text).problem;
  return problem ?? `it is ${brief(found)}`;
}

/** What an expression is tried on: texts, numbers, true and false. */
function textOf(found: unknown): string | undefined {
  if (typeof found === 'string') return found;
  return typeof found === 'number' || typeof found === 'boolean' ? String(found) : undefined;
}

/** The number that a field holds, also as text; NaN, which compares as false with all, where it holds none. */
function numberOf(found: unknown): number {
  if (typeof found === 'number') return found;
  return typeof found === 'string' && found.trim() !== '' ? Number(found) : Number.NaN;
}

function contains(found: unknown, value: Value): boolean {
  if (typeof found === 'string') return value !== null && found.includes(String(value));
  return Array.isArray(found) && found.includes(value);
}

const COMPARE: Record<FieldOperator, (found: unknown, value: Value) => boolean> = {
  equals: (found, value) => found === value,
  not_equals: (found, value) => found !== value,
  contains,
  // With an expression `matches` is decided before; without one nothing matches.
  matches: () => false,
  gt: (found, value) => numberOf(found) > numberOf(value),
  gte: (found, value) => numberOf(found) >= numberOf(value),
  lt: (found, value) => numberOf(found) < numberOf(value),
  lte: (found, value) => numberOf(found) <= numberOf(value),
  exists: (found) => found !== MISSING,
  not_exists: (found) => found === MISSING,
};
