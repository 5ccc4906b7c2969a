import type { Paint } from '../output/color.js';
import { fitText, visibleLine, visibleText } from '../output/text.js';

/** Output without a newline for this long is no JSON line. */
const LONGEST_FIRST_LINE = 1_048_576;
const TOOL_TEXT_WIDTH = 100;
/** Fields of a tool's input that say best what it does, in this order. */
const TELLING_FIELDS = ['command', 'file_path', 'path', 'pattern', 'url', 'query', 'description', 'prompt'];

type Json = Record<string, unknown>;

function asObject(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function parseObject(line: string): Json | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return asObject(JSON.parse(line));
  } catch {
    // Not JSON: the line is shown as it is.
    return undefined;
  }
}

function contentOf(message: Json): Json[] {
  const content = asObject(message['message'])?.['content'];
  if (!Array.isArray(content)) return [];
  return content.map(asObject).filter((block) => block !== undefined);
}

/**
 * Makes the stdout of an agent readable as it comes. An agent that reports in messages (`claude` with stream-json: its
 * first line says so) is shown by what it says and does; any other output is passed on as it is, made harmless where
 * `harmless` says that a terminal shows it.
 */
export class AgentOutput {
  readonly #paint: Paint;
  readonly #harmless: boolean;
  #mode: 'unknown' | 'plain' | 'messages' = 'unknown';
  #pending = '';
  #lastText = '';

  constructor(paint: Paint, harmless: boolean) {
    this.#paint = paint;
    this.#harmless = harmless;
  }

  /** Takes a piece of output and returns what to print. */
  push(data: string): string {
    if (this.#mode === 'plain') return this.#plain(data);
    this.#pending += data;
    if (this.#mode === 'unknown' && !this.#decide()) return '';
    if (this.#mode !== 'messages') return this.flush();
    const lines = this.#pending.split('\n');
    this.#pending = lines.pop() ?? '';
    return lines.map((line) => this.#messageLine(line)).join('');
  }

  /** What is left when the output has ended. */
  flush(): string {
    const rest = this.#pending;
    this.#pending = '';
    return this.#mode === 'messages' && rest !== '' ? this.#messageLine(rest) : this.#plain(rest);
  }

  #plain(text: string): string {
    return this.#harmless ? visibleText(text) : text;
  }

  /** False as long as the first line is not complete. */
  #decide(): boolean {
    const end = this.#pending.indexOf('\n');
    const open = end < 0 && this.#pending.startsWith('{') && this.#pending.length < LONGEST_FIRST_LINE;
    if (open || this.#pending === '') return false;
    const first = end < 0 ? undefined : parseObject(this.#pending.slice(0, end));
    this.#mode = first?.['type'] === 'system' ? 'messages' : 'plain';
    return true;
  }

  #messageLine(line: string): string {
    const message = parseObject(line.trim());
    if (message === undefined) return line.trim() === '' ? '' : `${visibleText(line)}\n`;
    switch (message['type']) {
      case 'assistant':
        return contentOf(message)
          .map((block) => this.#block(block))
          .join('');
      case 'user':
        return contentOf(message)
          .map((block) => this.#toolResult(block))
          .join('');
      case 'result':
        return this.#result(message);
      default:
        // Messages about the session, and kinds that come with later versions.
        return '';
    }
  }

  #block(block: Json): string {
    if (block['type'] === 'text' && typeof block['text'] === 'string') {
      this.#lastText = block['text'];
      return `${visibleText(block['text'])}\n`;
    }
    if (block['type'] !== 'tool_use') return '';
    const input = asObject(block['input']) ?? {};
    const telling = TELLING_FIELDS.map((field) => input[field]).find((value) => typeof value === 'string');
    const text = telling === undefined ? '' : ` ${fitText(visibleLine(telling), TOOL_TEXT_WIDTH)}`;
    return `${this.#paint('cyan', `> ${visibleLine(String(block['name']))}`)}${this.#paint('dim', text)}\n`;
  }

  #toolResult(block: Json): string {
    if (block['type'] !== 'tool_result' || block['is_error'] !== true) return '';
    const content = block['content'];
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    return `${this.#paint('yellow', `  failed: ${fitText(visibleLine(text), TOOL_TEXT_WIDTH)}`)}\n`;
  }

  #result(message: Json): string {
    const text = message['result'];
    // Usually the last thing that the assistant said, which was printed then.
    if (typeof text !== 'string' || text === '' || text.trim() === this.#lastText.trim()) return '';
    return `${visibleText(text)}\n`;
  }
}
