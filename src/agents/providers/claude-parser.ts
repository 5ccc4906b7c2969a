import type { TaskProgress } from '../../protocol/task.js';
import {
  type AgentExit,
  endOfText,
  MAX_RESULT_BYTES,
  type OutputParser,
  type ParserContext,
  type Question,
  type Verdict,
} from '../agent-provider.js';
import { CostMeter } from './claude-cost.js';
import { ProgressMeter } from './claude-progress.js';
import { OpenQuestions } from './claude-questions.js';
import { ApiRetries } from './claude-retries.js';
import {
  type Explanation,
  explain,
  explainSilence,
  explainWaiting,
  type ResultLine,
} from './claude-verdict.js';
import { isObject, parseObject } from './json-line.js';

/** Far above what there is; it stands in every list of tasks. */
const MAX_SESSION_ID_CHARACTERS = 1000;
const MAX_SURPRISES = 8;
/** Parts of an answer, many a second: what they make up comes as a message too. */
const PARTIAL = Buffer.from('{"type":"stream_event"');

type Message = Record<string, unknown>;

/**
 * Follows the messages of one run. There may be several inits and results, of sub-agents among them; the last result
 * counts. What it does not know it passes over.
 */
export class ClaudeParser implements OutputParser {
  readonly readsLines = true;
  sessionId: string | null = null;
  readonly #progress = new ProgressMeter();
  readonly #questions = new OpenQuestions();
  readonly #cost: CostMeter;
  readonly #retries: ApiRetries;
  readonly #surprises = new Set<string>();
  #version = '';
  #result: ResultLine | undefined;
  #resultIsLast = false;
  #answered = false;
  /** When a usage limit ends, in milliseconds since 1970, where it was told. */
  #limitedUntil: number | null = null;

  readonly #resumed: string | null;

  constructor({ baseline, resumed = null, now }: ParserContext) {
    this.#resumed = resumed;
    this.#cost = new CostMeter(baseline);
    this.#retries = new ApiRetries(now);
  }

  /** Also while the API lets the program wait so long that it is better ended: an answer would take that back. */
  get hasResult(): boolean {
    return this.#resultIsLast || this.#retries.waiting !== null;
  }

  get progress(): TaskProgress | null {
    return this.#progress.current;
  }

  get questions(): readonly Question[] {
    return this.#questions.current;
  }

  line(bytes: Buffer): void {
    if (bytes.subarray(0, PARTIAL.length).equals(PARTIAL)) return;
    const message = parseObject(bytes);
    if (message === undefined) return;
    switch (message['type']) {
      case 'system':
        return this.#system(message);
      case 'assistant':
        return this.#assistant(message);
      case 'user':
        return this.#user(message);
      case 'result':
        return this.#takeResult(message);
      case 'rate_limit_event':
        return this.#limit(message['rate_limit_info']);
      case 'control_request':
        return this.#ask(message, bytes.length);
      case 'control_cancel_request':
        return this.#questions.cancel(message['request_id']);
      default:
        return undefined;
    }
  }

  #system(message: Message): void {
    if (message['subtype'] === 'api_retry') return this.#retries.add(message);
    if (message['subtype'] !== 'init') return;
    const version = message['claude_code_version'];
    if (typeof version === 'string') {
      this.#version = version.slice(0, 40);
      this.#cost.setVersion(version);
    }
    this.#resultIsLast = false;
    this.#noteSession(message);
    this.#progress.begin();
  }

  #assistant(message: Message): void {
    const answer = message['message'];
    // An error of the API, put into words by the program.
    if (isObject(answer) && answer['model'] === '<synthetic>') return;
    this.#answered = true;
    this.#resultIsLast = false;
    this.#retries.over();
    this.#progress.answer(message);
  }

  #user(message: Message): void {
    const said = message['message'];
    const content: unknown = isObject(said) ? said['content'] : undefined;
    if (!Array.isArray(content)) return;
    for (const part of content.filter(isObject)) {
      const id = part['tool_use_id'];
      if (part['type'] !== 'tool_result' || typeof id !== 'string') continue;
      this.#questions.toolEnded(id);
      this.#progress.endTool(id);
    }
  }

  #ask(message: Message, bytes: number): void {
    const before = this.questions;
    if (!this.#questions.ask(message, bytes)) this.#wonder('it asks more than can be kept track of');
    if (this.questions !== before) this.#resultIsLast = false;
  }

  #takeResult(message: Message): void {
    this.#result = message;
    this.#resultIsLast = true;
    this.#noteSession(message);
    if (typeof message['is_error'] !== 'boolean')
      this.#wonder('its result does not say whether it is an error');
    if (message['is_error'] === false) this.#retries.over();
    else this.#retries.exhausted();
    if (this.#resumed !== null && this.sessionId !== this.#resumed) {
      this.#cost.beginAnew();
      this.#wonder('it went on in another session than it was asked to');
    }
    this.#cost.add(message);
    this.#questions.clear();
    this.#progress.result(this.#cost.costUsd);
  }

  #noteSession(message: Message): void {
    const id = message['session_id'];
    if (typeof id === 'string' && id.length <= MAX_SESSION_ID_CHARACTERS) this.sessionId = id;
  }

  #limit(info: unknown): void {
    if (!isObject(info) || info['status'] !== 'rejected') return;
    this.#limitedUntil = timeOf(info['resetsAt']) ?? this.#limitedUntil;
  }

  #wonder(sentence: string): void {
    if (this.#surprises.size < MAX_SURPRISES) this.#surprises.add(sentence);
  }

  verdict(exit: AgentExit): Verdict {
    const waiting = this.#resultIsLast ? null : this.#retries.waiting;
    const result = waiting === null ? this.#result : undefined;
    const text = typeof result?.result === 'string' ? endOfText(result.result, MAX_RESULT_BYTES) : null;
    // The exit code and the subtype both lie: an API failure is a "success" with `is_error`.
    const ok = result?.is_error === false;
    const told = { limit: this.#limitedUntil, retry: this.#retries.until };
    let why: Explanation = { error: null, failureClass: null, retryAt: null };
    if (waiting !== null) why = explainWaiting(waiting, told);
    else if (result === undefined) why = explainSilence(exit);
    else if (!ok) why = explain(result, text, told);
    return { ok, result: text, ...why, sessionId: this.sessionId, ...this.#figures(waiting !== null) };
  }

  /** What it used and cost; without a result only as far as the messages tell. */
  #figures(waiting: boolean): Pick<Verdict, 'costUsd' | 'usage' | 'tokens' | 'sessionTotals' | 'surprises'> {
    const { costUsd, usage, tokens, sessionTotals } = this.#cost;
    return {
      // Whoever was never let in owes nothing.
      costUsd: waiting && !this.#answered ? 0 : costUsd,
      usage,
      tokens: tokens ?? this.progress?.tokens ?? null,
      sessionTotals,
      surprises: this.#allSurprises(),
    };
  }

  #allSurprises(): string[] {
    if (this.#result === undefined) return [];
    const missing = this.sessionId === null ? ['it names no session'] : [];
    const cost = this.#cost.surprise === null ? [] : [this.#cost.surprise];
    const program = `claude ${this.#version}`.trim();
    return [...this.#surprises, ...missing, ...cost].map((sentence) => `${program}: ${sentence}`);
  }
}

/** A Unix time in seconds as milliseconds; null where it is none, or out of any calendar. */
function timeOf(seconds: unknown): number | null {
  if (typeof seconds !== 'number' || seconds <= 0) return null;
  const ms = Math.round(seconds * 1000);
  return Number.isNaN(new Date(ms).getTime()) ? null : ms;
}
