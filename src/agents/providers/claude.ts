import type { Usage } from '../../protocol/task.js';
import type { ClaudeAgentConfig } from '../agent-config.js';
import {
  type AgentExit,
  type AgentProvider,
  describeExit,
  endOfText,
  type FailureClass,
  lastLines,
  MAX_RESULT_BYTES,
  type OutputParser,
  type Verdict,
} from '../agent-provider.js';
import { isObject, parseObject } from './json-line.js';

/** The fields we read of a `result` line; every one may be missing. */
interface ResultLine {
  subtype?: unknown;
  is_error?: unknown;
  result?: unknown;
  errors?: unknown;
  api_error_status?: unknown;
  api_error?: unknown;
  session_id?: unknown;
  total_cost_usd?: unknown;
  usage?: unknown;
}

/** Far above what there is; both stand in every list of tasks. */
const MAX_SESSION_ID_CHARACTERS = 1000;
const MAX_USAGE_CHARACTERS = 64 * 1024;

/** Claude Code, headless: one JSON message a line on stdout. */
export function claudeProvider(config: ClaudeAgentConfig): AgentProvider {
  return {
    envFamily: ['ANTHROPIC_*', 'CLAUDE_CODE_*', 'CLAUDE_CONFIG_DIR', 'IS_SANDBOX'],
    prepare: ({ subAgent }) => ({
      program: config.program ?? 'claude',
      args: [
        ...(config.args ?? []),
        '-p',
        '--output-format',
        'stream-json',
        '--verbose',
        ...(config.model ? ['--model', config.model] : []),
        ...(subAgent === null ? [] : ['--agent', subAgent]),
      ],
      env: {
        // A background task that never ends would keep it alive for ten minutes after its result.
        CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
        // Set where the daemon was started from inside an agent; it would take itself for a nested one.
        CLAUDECODE: undefined,
      },
      promptOnStdin: true,
    }),
    createParser: () => new ClaudeParser(),
  };
}

class ClaudeParser implements OutputParser {
  readonly readsLines = true;
  sessionId: string | null = null;
  hasResult = false;
  #result: ResultLine | undefined;
  /** Unix time in seconds at which a usage limit ends, where it was told. */
  #resetsAt: number | undefined;

  line(bytes: Buffer): void {
    // Most bytes are messages we pass over: a line that cannot be one of ours is not parsed at all.
    if (!bytes.includes('"result"') && !bytes.includes('"init"') && !bytes.includes('"rate_limit_event"'))
      return;
    const message = parseObject(bytes);
    if (message === undefined) return;
    if (message['type'] === 'result') {
      this.#result = message;
      this.hasResult = true;
      this.#noteSession(message);
    } else if (message['type'] === 'system' && message['subtype'] === 'init') {
      this.hasResult = false;
      this.#noteSession(message);
    } else if (message['type'] === 'rate_limit_event') {
      this.#noteLimit(message['rate_limit_info']);
    }
  }

  #noteSession(message: Record<string, unknown>): void {
    const id = message['session_id'];
    if (typeof id === 'string' && id.length <= MAX_SESSION_ID_CHARACTERS) this.sessionId = id;
  }

  #noteLimit(info: unknown): void {
    if (!isObject(info) || info['status'] !== 'rejected') return;
    if (typeof info['resetsAt'] === 'number') this.#resetsAt = info['resetsAt'];
  }

  verdict(exit: AgentExit): Verdict {
    const result = this.#result;
    if (result === undefined) return this.#noResult(exit);
    const common = {
      sessionId: this.sessionId,
      costUsd: Number.isFinite(result.total_cost_usd) ? (result.total_cost_usd as number) : null,
      usage: usageOf(result.usage),
    };
    const text = typeof result.result === 'string' ? endOfText(result.result, MAX_RESULT_BYTES) : null;
    // The exit code and the subtype both lie: an API failure is a "success" with `is_error`.
    if (result.is_error === false)
      return { ok: true, result: text, error: null, failureClass: null, ...common };
    return { ok: false, result: text, ...explain(result, text, this.#resetsAt), ...common };
  }

  #noResult(exit: AgentExit): Verdict {
    const stderr = lastLines(exit.stderrTail());
    const ended = `ended without a result (${describeExit(exit)})`;
    return {
      ok: false,
      result: null,
      error: stderr === '' ? `The agent ${ended}` : `The agent ${ended}: ${stderr}`,
      sessionId: this.sessionId,
      costUsd: null,
      usage: null,
      failureClass: refusesArguments(stderr)
        ? 'bad_arguments'
        : exit.signal === null
          ? 'no_result'
          : 'signal',
    };
  }
}

/** What was used, as it was told; null where it is none, or more than fits beside a task. */
function usageOf(value: unknown): Usage | null {
  if (!isObject(value)) return null;
  try {
    return JSON.stringify(value).length <= MAX_USAGE_CHARACTERS ? value : null;
  } catch {
    // Too many levels to be written down.
    return null;
  }
}

interface Explanation {
  error: string;
  failureClass: FailureClass;
}

/** What a failed result means and what a person can do about it. */
function explain(result: ResultLine, text: string | null, resetsAt: number | undefined): Explanation {
  const subtype = typeof result.subtype === 'string' ? result.subtype : 'no reason given';
  const said = text ?? firstError(result.errors) ?? subtype;
  if (typeof result.api_error_status === 'number')
    return explainStatus(result.api_error_status, said, resetsAt);
  if (result.api_error === 'connection_failed') {
    return {
      error: `The API could not be reached: ${said}; check the network, the proxy variables and ANTHROPIC_BASE_URL`,
      failureClass: 'connection',
    };
  }
  if (subtype === 'error_max_turns')
    return { error: `Stopped at its limit of turns: ${said}`, failureClass: 'run_limit' };
  if (subtype === 'error_max_budget_usd')
    return { error: `Stopped at its limit of spend: ${said}`, failureClass: 'run_limit' };
  return { error: `The agent failed: ${said}`, failureClass: 'agent_error' };
}

function explainStatus(status: number, said: string, resetsAt: number | undefined): Explanation {
  if (status === 401 || status === 403) {
    return {
      error: `The API refused the key (${status}): ${said}; set ANTHROPIC_API_KEY or run \`claude\` once to log in`,
      failureClass: 'auth',
    };
  }
  if (status === 429) {
    const until = resetsAt === undefined ? '' : `; the limit is lifted at ${isoSeconds(resetsAt)}`;
    return { error: `Rate limited (429): ${said}${until}`, failureClass: 'rate_limit' };
  }
  if (status === 529) return { error: `The API is overloaded (529): ${said}`, failureClass: 'overloaded' };
  if (status >= 500) return { error: `The API failed (${status}): ${said}`, failureClass: 'overloaded' };
  return { error: `The API refused the request (${status}): ${said}`, failureClass: 'agent_error' };
}

/** Claude's command line says `error: unknown option '--x'` and the like, and exits. */
function refusesArguments(stderr: string): boolean {
  return /^error: (unknown option|option .* argument)/mu.test(stderr);
}

function firstError(errors: unknown): string | undefined {
  return Array.isArray(errors) && typeof errors[0] === 'string' ? errors[0] : undefined;
}

/** A time in seconds as ISO text; the number itself where it is out of any calendar. */
function isoSeconds(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}
