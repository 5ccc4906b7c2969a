import { nearest } from '../nearest.js';

/**
 * The syntax of templates: `{{payload.path}}` and the like, in prompts and messages of rules. What fills them in is the
 * rules' affair; here is what may stand in the file. `{{'{{'}}` stands for two braces.
 */

/** A piece of a template: text, or the path of a value. */
type TemplatePart = { text: string } | { path: string };

/** The names that a placeholder may begin with. */
const TEMPLATE_ROOTS = [
  'payload',
  'files',
  'count',
  'event',
  'id',
  'type',
  'source',
  'timestamp',
  'rule',
  'previous',
] as const;
export type TemplateRoot = (typeof TEMPLATE_ROOTS)[number];

/** All placeholders but those that reach into the payload. */
const KNOWN = [
  'payload',
  'files',
  'count',
  'event',
  'event.payload',
  'id',
  'event.id',
  'type',
  'event.type',
  'source',
  'event.source',
  'timestamp',
  'event.timestamp',
  'event.cause',
  'rule.id',
  'previous.result',
  'previous.taskId',
  'previous.state',
];
const IN_PAYLOAD = /^(event\.)?payload\./;

const BRACES = "'{{'";
const PLACEHOLDER = /\{\{\s*('\{\{'|[^{}]*?)\s*\}\}/g;
const PATH = /^[^\s.]+(\.[^\s.]+)*$/;

/** The pieces of a template of which `templateProblem` has nothing to say. */
export function templateParts(template: string): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const match of template.matchAll(PLACEHOLDER)) {
    if (match.index > end) parts.push({ text: template.slice(end, match.index) });
    const path = match[1] ?? '';
    parts.push(path === BRACES ? { text: '{{' } : { path });
    end = match.index + match[0].length;
  }
  if (end < template.length) parts.push({ text: template.slice(end) });
  return parts;
}

/** What is wrong with the syntax of a template, or undefined: half a sentence with the remedy. */
export function templateProblem(template: string): string | undefined {
  for (const part of templateParts(template)) {
    if ('path' in part) {
      const problem = pathProblem(part.path);
      if (problem !== undefined) return problem;
    } else if (part.text !== '{{' && part.text.includes('{{')) {
      return `has a {{ that no }} closes; for the braces themselves write {{${BRACES}}}`;
    }
  }
  return undefined;
}

function pathProblem(path: string): string | undefined {
  if (path === '') return 'has an empty placeholder; name a value, such as {{payload.path}}';
  if (KNOWN.includes(path) || (IN_PAYLOAD.test(path) && PATH.test(path))) return undefined;
  const near = suggestion(path);
  const remedy =
    near === undefined
      ? `there is {{payload.…}}, ${KNOWN.join(', ')}; for the braces themselves write {{${BRACES}}}`
      : `did you mean {{${shortened(near)}}}?`;
  return `has the unknown placeholder {{${shortened(path)}}}; ${remedy}`;
}

function suggestion(path: string): string | undefined {
  const [root = '', ...rest] = path.split('.');
  if (rest.length > 0 && nearest(root, ['payload']) !== undefined) return ['payload', ...rest].join('.');
  return nearest(path, KNOWN) ?? nearest(root, KNOWN);
}

function isRoot(name: string): boolean {
  return (TEMPLATE_ROOTS as readonly string[]).includes(name);
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/**
 * The placeholder in a text that fills in none, or undefined. Only what looks like one of ours is meant: arguments such
 * as `{{.Names}}` or `{{json .}}` belong to other programs.
 */
export function strayPlaceholder(text: string): string | undefined {
  for (const match of text.matchAll(PLACEHOLDER)) {
    const path = match[1] ?? '';
    const [root = ''] = path.split('.');
    if (PATH.test(path) && (isRoot(root) || nearest(root, TEMPLATE_ROOTS) !== undefined)) return match[0];
  }
  return undefined;
}

/** What is wrong with the command of an action of a rule, or undefined: half a sentence with the remedy. */
export function argvProblem(argv: readonly string[]): string | undefined {
  const dashes = argv.indexOf('--');
  let filled = false;
  for (const [index, argument] of argv.entries()) {
    const placeholder = strayPlaceholder(argument);
    if (placeholder === undefined) continue;
    if (dashes === -1 || index < dashes) {
      return `must not have ${shortened(placeholder)} before a "--", where text from outside could pass for an option; put it behind "--" as an argument of its own, or let the program read "$AIWG_EVENT_PATH" and its kin from the environment`;
    }
    if (placeholder !== argument) {
      return `must have ${shortened(placeholder)} as an argument of its own, not as a part of one`;
    }
    const problem = templateProblem(argument);
    if (problem !== undefined) return problem;
    filled = true;
  }
  return filled ? interpreterProblem(argv.slice(0, dashes)) : undefined;
}

const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'fish', 'ash']);
const INSTEAD = 'let it read "$AIWG_EVENT_PATH" and its kin from the environment';

/** A shell takes what follows for its script unless it has one already, and ssh hands all of it to a shell. */
function interpreterProblem(before: readonly string[]): string | undefined {
  const names = before.map((argument) => argument.slice(argument.lastIndexOf('/') + 1));
  if (names[0] === 'ssh') return `must not fill in placeholders: ssh hands them to a shell; ${INSTEAD}`;
  const shell = names.findIndex((name) => SHELLS.has(name));
  if (shell === -1 || before.slice(shell + 1).some((argument) => !argument.startsWith('-'))) return undefined;
  return `must not fill in placeholders where ${names[shell] ?? 'the shell'} takes them for its script; put the script before the "--", or ${INSTEAD}`;
}

/** What is wrong with a text that nothing is filled in to, or undefined; `remedy` says why or what else to do. */
export function noTemplateProblem(text: string, remedy: string): string | undefined {
  const placeholder = strayPlaceholder(text);
  return placeholder === undefined
    ? undefined
    : `must not have ${shortened(placeholder)}, which nothing fills in here; ${remedy}`;
}

/** As `noTemplateProblem`, of any of the arguments. */
export function noTemplatesProblem(argv: readonly string[], remedy: string): string | undefined {
  return firstOf(argv, (argument) => noTemplateProblem(argument, remedy));
}

/** What is wrong with a template in a JSON value, at any depth, or undefined. */
export function payloadProblem(value: unknown): string | undefined {
  if (typeof value === 'string') return templateProblem(value);
  if (typeof value !== 'object' || value === null) return undefined;
  return firstOf(Object.values(value), payloadProblem);
}

function firstOf<T>(values: readonly T[], problemOf: (value: T) => string | undefined): string | undefined {
  for (const value of values) {
    const problem = problemOf(value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
