import type { TaskProgress } from '../../protocol/task.js';
import { NONE, sum, tokensOfUsage } from './claude-cost.js';
import { isObject } from './json-line.js';

const MAX_TEXT_CHARACTERS = 2_000;
const MAX_LABEL_CHARACTERS = 120;
const MAX_OPEN_TOOLS = 64;
const MAX_MESSAGES = 256;

/** What of a tool's input tells most, the most telling first. */
const TELLING = [
  'command',
  'file_path',
  'notebook_path',
  'path',
  'url',
  'query',
  'pattern',
  'skill',
  'description',
  'prompt',
];

const NOTHING_YET: TaskProgress = { turns: 0, tool: null, text: '', tokens: null, costUsd: null };

/** What the agent is doing, from its messages. */
export class ProgressMeter {
  #progress: TaskProgress | null = null;
  /** Tools at work, by the id of their use, in the order of their start. */
  readonly #tools = new Map<string, string>();
  /** The newest answers: each of their parts comes as a message of its own, with the same id and the same usage. */
  readonly #messages = new Set<string>();

  /** Another object whenever something has changed; null before the first message. */
  get current(): TaskProgress | null {
    return this.#progress;
  }

  /** The agent has begun. */
  begin(): void {
    this.#progress ??= NOTHING_YET;
  }

  /** Takes an `assistant` message of the model. */
  answer(message: Record<string, unknown>): void {
    const answer = message['message'];
    if (!isObject(answer)) return;
    const sub = typeof message['parent_tool_use_id'] === 'string';
    this.#count(answer, sub);
    const content: unknown[] = Array.isArray(answer['content']) ? answer['content'] : [];
    for (const part of content.filter(isObject)) {
      const { type, text, id, name, input } = part;
      // What a sub-agent says is said to the agent.
      if (type === 'text' && typeof text === 'string' && !sub) this.#change({ text: endOf(text) });
      if (type === 'tool_use' && typeof id === 'string' && typeof name === 'string')
        this.#beginTool(id, labelOf(name, input));
    }
  }

  #count(answer: Record<string, unknown>, sub: boolean): void {
    const id = answer['id'];
    if (typeof id !== 'string' || this.#messages.has(id)) return;
    this.#messages.add(id);
    if (this.#messages.size > MAX_MESSAGES) this.#messages.delete(first(this.#messages));
    const { turns, tokens } = this.#progress ?? NOTHING_YET;
    this.#change({
      turns: sub ? turns : turns + 1,
      tokens: sum(tokens ?? NONE, tokensOfUsage(answer['usage'])),
    });
  }

  #beginTool(id: string, label: string): void {
    this.#tools.set(id, label);
    if (this.#tools.size > MAX_OPEN_TOOLS) this.#tools.delete(first(this.#tools.keys()));
    this.#change({ tool: label });
  }

  /** A tool has given its result. */
  endTool(id: string): void {
    if (!this.#tools.delete(id)) return;
    this.#change({ tool: [...this.#tools.values()].at(-1) ?? null });
  }

  /** The run has given a result, which tells what it has cost so far. */
  result(costUsd: number | null): void {
    this.#tools.clear();
    this.#change({ tool: null, costUsd });
  }

  #change(change: Partial<TaskProgress>): void {
    this.#progress = { ...(this.#progress ?? NOTHING_YET), ...change };
  }
}

function first(ids: Iterable<string>): string {
  for (const id of ids) return id;
  return '';
}

/** `Bash: npm test`: a tool with a few telling words of what it is at. */
function labelOf(tool: string, input: unknown): string {
  const values = isObject(input) ? TELLING.map((key) => input[key]) : [];
  const telling = values.find((value) => typeof value === 'string' && value.trim() !== '') as
    | string
    | undefined;
  const words = telling
    ?.slice(0, 10 * MAX_LABEL_CHARACTERS)
    .replaceAll(/\s+/gu, ' ')
    .trim();
  return shortened(words === undefined ? tool : `${tool}: ${words}`);
}

function shortened(text: string): string {
  return text.length <= MAX_LABEL_CHARACTERS ? text : `${text.slice(0, MAX_LABEL_CHARACTERS - 1)}…`;
}

function endOf(text: string): string {
  return text.slice(-MAX_TEXT_CHARACTERS);
}
