import type { Answer, Question } from '../agent-provider.js';
import { isObject } from './json-line.js';

const MAX_OPEN = 64;
const MAX_OPEN_BYTES = 16 * 1024 * 1024;
const MAX_ID_CHARACTERS = 200;

/**
 * `Tool` or `Tool(pattern)`. The program takes a text with a further bracket or comma for several rules, and a model
 * chooses the words of what it asks for: such a text is no rule here.
 */
const RULE = /^([A-Za-z_][\w-]{0,199})(?:\(([^(),\p{Cc}]{1,2000})\))?$/u;

/** Whether a text is one rule of permission, and to the program too. */
export function isRule(text: string): boolean {
  return RULE.test(text);
}

interface OpenQuestion {
  question: Question;
  toolUseId: string | null;
  bytes: number;
}

/**
 * The questions for permission (`can_use_tool`) that the output shows without what follows an answer: the tool's result.
 * At most 64 of them, of 16 MiB together.
 */
export class OpenQuestions {
  readonly #open = new Map<string, OpenQuestion>();
  #bytes = 0;
  /** Another array whenever it changes. */
  current: readonly Question[] = [];

  /** Takes a `control_request` of so many bytes. False where it asks for permission and there is no room for it. */
  ask(message: Record<string, unknown>, bytes: number): boolean {
    const id = message['request_id'];
    const request = message['request'];
    if (typeof id !== 'string' || id.length > MAX_ID_CHARACTERS || this.#open.has(id)) return true;
    if (!isObject(request) || request['subtype'] !== 'can_use_tool') return true;
    const { tool_name: tool, input, tool_use_id: toolUseId } = request;
    if (typeof tool !== 'string' || !isObject(input)) return true;
    if (this.#open.size >= MAX_OPEN || this.#bytes + bytes > MAX_OPEN_BYTES) return false;
    const question = { id, tool, input, rule: ruleOf(request['permission_suggestions']) };
    this.#open.set(id, { question, bytes, toolUseId: typeof toolUseId === 'string' ? toolUseId : null });
    this.#bytes += bytes;
    this.#changed();
    return true;
  }

  /** The program itself has taken a question back (`control_cancel_request`). */
  cancel(id: unknown): void {
    if (typeof id === 'string') this.#close(id);
  }

  /** A tool has given its result: whatever was asked for it is answered. */
  toolEnded(toolUseId: string): void {
    for (const [id, open] of this.#open) if (open.toolUseId === toolUseId) this.#close(id);
  }

  /** The run is over, and so are its questions. */
  clear(): void {
    for (const id of this.#open.keys()) this.#close(id);
  }

  #close(id: string): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    this.#bytes -= open.bytes;
    this.#changed();
  }

  #changed(): void {
    this.current = [...this.#open.values()].map(({ question }) => question);
  }
}

/**
 * The rule that the program suggests; null where it suggests none, or several at once. For files it suggests a mode
 * instead: that stands for edits in the agent's folder, as a rule `Edit(**)`.
 */
function ruleOf(suggestions: unknown): string | null {
  if (!Array.isArray(suggestions)) return null;
  const known = suggestions.filter(isObject);
  const added = known.find(({ type, behavior }) => type === 'addRules' && behavior === 'allow');
  if (added === undefined)
    return known.some(({ type, mode }) => type === 'setMode' && mode === 'acceptEdits') ? 'Edit(**)' : null;
  const { rules } = added;
  if (!Array.isArray(rules) || rules.length !== 1 || !isObject(rules[0])) return null;
  const { toolName, ruleContent } = rules[0];
  if (typeof toolName !== 'string') return null;
  const text = typeof ruleContent === 'string' ? `${toolName}(${ruleContent})` : toolName;
  return isRule(text) ? text : null;
}

/**
 * The line for stdin that answers a question. "Always" holds for the program's session: it writes nothing into the
 * repository's settings. Sent twice, or for a question that is none any more, it does nothing.
 */
export function answerLine(question: Question, answer: Answer): string {
  const response = answer.allow
    ? // The very input that was shown: it is what the tool gets.
      { behavior: 'allow', updatedInput: question.input, ...(answer.always ? alwaysFor(question.rule) : {}) }
    : { behavior: 'deny', message: answer.message };
  return `${JSON.stringify({
    type: 'control_response',
    response: { subtype: 'success', request_id: question.id, response },
  })}\n`;
}

function alwaysFor(rule: string | null): object {
  const parts = rule === null ? null : RULE.exec(rule);
  if (parts === null) return {};
  const [, toolName, ruleContent] = parts;
  const rules = [{ toolName, ...(ruleContent === undefined ? {} : { ruleContent }) }];
  return { updatedPermissions: [{ type: 'addRules', rules, behavior: 'allow', destination: 'session' }] };
}
