import {
  argvProblem,
  strayPlaceholder,
  type TemplateRoot,
  templateParts,
  templateProblem,
} from '../../protocol/config/templates.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { AiwgEvent } from '../../protocol/event.js';
import { nearest } from '../../protocol/nearest.js';
import { MISSING, valueAt } from './event-field.js';
import { cut, shown, shownJson } from './shown-text.js';

/** Characters of one value in a message to people. */
const MAX_SHOWN_VALUE = 2_000;

/** What templates are filled in from. */
export interface TemplateScope {
  event: AiwgEvent;
  /** The paths that a debounce has gathered; empty: only that of the event. */
  files: readonly string[];
  /** Events that the run is for. */
  count: number;
  ruleId: string;
  /** The action before in the same run. */
  previous: { taskId: string | null; state: string; result: string | null } | null;
}

/** A template that cannot be filled in: names the placeholder and what there is in its place. */
export class TemplateError extends AiwgdError {
  override readonly name = 'TemplateError';

  constructor(message: string) {
    super('INVALID_PARAMS', message);
  }
}

/**
 * The prompt filled in. Each text from outside stands in it as a JSON string in which every character is seen, so that it
 * is visibly data and cannot pass for a part of the prompt; numbers, true and false stand bare, all else as JSON.
 * @throws TemplateError where a value is missing.
 */
export function renderPrompt(template: string, scope: TemplateScope): string {
  return render(template, scope, (value, path) =>
    path === 'files' ? filesOf(scope).map(shownJson).join(', ') : shownJson(value),
  );
}

/**
 * A message to people filled in: values without quotes, at most 2,000 characters of each, no character unseen.
 * @throws TemplateError where a value is missing.
 */
export function renderText(template: string, scope: TemplateScope): string {
  return render(template, scope, (value, path) => {
    if (path === 'files') return cut(filesOf(scope).map(shown).join(', '), MAX_SHOWN_VALUE);
    return cut(
      typeof value === 'string' ? shown(cut(value, MAX_SHOWN_VALUE)) : shownJson(value),
      MAX_SHOWN_VALUE,
    );
  });
}

/**
 * The strings in a JSON value filled in, at any depth; keys stay. A string that is one placeholder becomes the value
 * itself, with its type.
 * @throws TemplateError where a value is missing.
 */
export function renderJson(value: unknown, scope: TemplateScope): unknown {
  if (typeof value === 'string') {
    const whole = wholePlaceholder(value);
    return whole === undefined ? render(value, scope, plainText) : lookUp(whole, scope);
  }
  if (Array.isArray(value)) return value.map((one) => renderJson(one, scope));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, renderJson(one, scope)]));
}

/**
 * The command filled in: only whole arguments behind a "--", where nothing passes for an option. `{{files}}` becomes one
 * argument for each file.
 * @throws TemplateError where a value is missing or holds a NUL, or a placeholder stands where none may.
 */
export function renderArgv(argv: readonly string[], scope: TemplateScope): string[] {
  const problem = argvProblem(argv);
  if (problem !== undefined) throw new TemplateError(`The command ${problem}.`);
  return argv.flatMap((argument) => {
    if (strayPlaceholder(argument) === undefined) return [argument];
    const path = wholePlaceholder(argument) ?? '';
    const values = path === 'files' ? [...filesOf(scope)] : [plainText(lookUp(path, scope))];
    if (values.some((one) => one.includes('\0'))) {
      throw new TemplateError(`{{${path}}} holds a NUL character, which no argument of a program can.`);
    }
    return values;
  });
}

function plainText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null');
}

function wholePlaceholder(template: string): string | undefined {
  const parts = templateParts(template);
  const [only] = parts;
  return parts.length === 1 && only !== undefined && 'path' in only ? only.path : undefined;
}

function render(
  template: string,
  scope: TemplateScope,
  written: (value: unknown, path: string) => string,
): string {
  const problem = templateProblem(template);
  if (problem !== undefined) throw new TemplateError(`The template ${problem}.`);
  return templateParts(template)
    .map((part) => ('text' in part ? part.text : written(lookUp(part.path, scope), part.path)))
    .join('');
}

/** The files of the run; the path of the event where none were gathered. */
function filesOf({ files, event }: TemplateScope): readonly string[] {
  if (files.length > 0) return files;
  const path = valueAt(event.payload, ['path']);
  if (typeof path === 'string') return [path];
  throw new TemplateError(
    `{{files}} has no files: the event ${shown(event.type)} is not about one. Use {{payload}} instead.`,
  );
}

/** Where the placeholders with each root look. */
const SOURCES: Record<TemplateRoot, (scope: TemplateScope, rest: string[]) => unknown> = {
  payload: ({ event }, rest) => valueAt(event.payload, rest),
  files: (scope) => [...filesOf(scope)],
  count: ({ count }) => count,
  event: ({ event }, rest) => valueAt(event, rest),
  id: ({ event }) => event.id,
  type: ({ event }) => event.type,
  source: ({ event }) => event.source,
  timestamp: ({ event }) => event.timestamp,
  rule: ({ ruleId }) => ruleId,
  previous: ({ previous }, rest) => {
    const value = previous === null ? MISSING : valueAt(previous, rest);
    return value === null ? MISSING : value;
  },
};

function lookUp(path: string, scope: TemplateScope): unknown {
  const [root = '', ...rest] = path.split('.');
  if (!Object.hasOwn(SOURCES, root)) throw new TemplateError(`There is no {{${shown(path)}}}.`);
  const value = SOURCES[root as TemplateRoot](scope, rest);
  if (value === MISSING) throw missing(path, root, rest, scope);
  return value;
}

function missing(path: string, root: string, rest: string[], scope: TemplateScope): TemplateError {
  const name = `{{${cut(shown(path), 200)}}}`;
  if (root === 'previous') {
    const why = scope.previous === null ? 'there is no action before this one' : 'the action before has none';
    return new TemplateError(`${name} has no value: ${why}.`);
  }
  if (root === 'event' && rest[0] !== 'payload')
    return new TemplateError(`${name} has no value in this event.`);
  const inPayload = root === 'payload' ? rest : rest.slice(1);
  const steps = inPayload.slice(0, -1);
  const parent = valueAt(scope.event.payload, steps);
  const keys = typeof parent === 'object' && parent !== null ? Object.keys(parent) : [];
  const near = nearest(inPayload.at(-1) ?? '', keys);
  const place = shown(cut(['payload', ...steps].join('.'), 200));
  return new TemplateError(
    `${name} has no value in this event (${shown(scope.event.type)}): ${
      near === undefined ? `${place} ${keysInWords(keys)}.` : `did you mean ${shown(near)}?`
    }`,
  );
}

const MAX_KEYS_TOLD = 8;

function keysInWords(keys: readonly string[]): string {
  if (keys.length === 0) return 'has nothing in it';
  const told = keys.slice(0, MAX_KEYS_TOLD).map((key) => shown(cut(key, 60)));
  return `has ${told.join(', ')}${keys.length > MAX_KEYS_TOLD ? ' and others' : ''}`;
}
