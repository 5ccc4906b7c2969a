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
/** What becomes an argument is not left to what an agent once printed. */
const SESSION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;

/** Claude Code, headless: one JSON message a line on stdout. */
export function claudeProvider(config: ClaudeAgentConfig): AgentProvider {
  return {
    sessions: true,
    isSession: (id) => SESSION_ID.test(id),
    counts: 'usd',
    probe: null,
    envFamily: ['ANTHROPIC_*', 'CLAUDE_CODE_*', 'CLAUDE_CONFIG_DIR', 'IS_SANDBOX'],
    prepare: ({ prompt, subAgent, resume }) => {
      const session = resume !== null && SESSION_ID.test(resume) ? resume : null;
      return {
        program: config.program ?? 'claude',
        args: [
          ...(config.args ?? []),
          '-p',
          '--output-format',
          'stream-json',
          '--verbose',
          ...(config.model ? ['--model', config.model] : []),
          ...(subAgent === null ? [] : ['--agent', subAgent]),
          ...(session === null ? [] : ['--resume', session]),
        ],
        env: {
          // A background task that never ends would keep it alive for ten minutes after its result.
          CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
          DISABLE_AUTOUPDATER: '1',
          // Set where the daemon was started from inside an agent; it would take itself for a nested one.
          CLAUDECODE: undefined,
        },
        stdin: prompt,
      };
    },
    createParser: () => new ClaudeParser(),
  };
}

const SILENT = { progress: null, questions: [] } as const;
const UNCOUNTED = { tokens: null, sessionTotals: null, surprises: [] };

class ClaudeParser implements OutputParser {
  readonly readsLines = true;
  readonly progress = SILENT.progress;
  readonly questions = SILENT.questions;
  sessionId: string | null = null;
  hasResult = false;
  #result: ResultLine | undefined;
  /** When a usage limit ends, in milliseconds since 1970, where it was told. */
  #retryAt: number | null = null;

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
    this.#retryAt = timeOf(info['resetsAt']) ?? this.#retryAt;
  }

  verdict(exit: AgentExit): Verdict {
    const result = this.#result;
    if (result === undefined) return this.#noResult(exit);
    const common = {
      ...UNCOUNTED,
      sessionId: this.sessionId,
      costUsd: Number.isFinite(result.total_cost_usd) ? (result.total_cost_usd as number) : null,
      usage: usageOf(result.usage),
    };
    const text = typeof result.result === 'string' ? endOfText(result.result, MAX_RESULT_BYTES) : null;
    // The exit code and the subtype both lie: an API failure is a "success" with `is_error`.
    if (result.is_error === false)
      return { ok: true, result: text, error: null, failureClass: null, retryAt: null, ...common };
    return { ok: false, result: text, ...explain(result, text, this.#retryAt), ...common };
  }

  #noResult(exit: AgentExit): Verdict {
    return {
      ok: false,
      result: null,
      ...explainSilence(exit, lastLines(exit.stderrTail())),
      sessionId: this.sessionId,
      costUsd: null,
      usage: null,
      ...UNCOUNTED,
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

type Explanation = Pick<Verdict, 'error' | 'failureClass' | 'retryAt'>;

function explanation(failureClass: FailureClass, error: string): Explanation {
  return { error, failureClass, retryAt: null };
}

/** What it means to end without a result. */
function explainSilence(exit: AgentExit, stderr: string): Explanation {
  if (refusesArguments(stderr)) {
    const text = `The agent refuses how it was called: ${stderr}; correct its "args" in the configuration`;
    return explanation('bad_arguments', text);
  }
  const ended = `The agent ended without a result (${describeExit(exit)})`;
  const text = stderr === '' ? ended : `${ended}: ${stderr}`;
  return explanation(exit.signal === null ? 'no_result' : 'signal', text);
}

/** What a failed result means and what a person can do about it. */
function explain(result: ResultLine, text: string | null, retryAt: number | null): Explanation {
  const subtype = typeof result.subtype === 'string' ? result.subtype : 'no reason given';
  const said = text ?? firstError(result.errors) ?? subtype;
  if (typeof result.api_error_status === 'number')
    return explainStatus(result.api_error_status, said, retryAt);
  if (result.api_error === 'connection_failed') {
    const remedy = 'check the network, the proxy variables and ANTHROPIC_BASE_URL';
    return explanation('connection', `The API could not be reached: ${said}; ${remedy}`);
  }
  if (firstError(result.errors)?.startsWith('No conversation found') === true)
    return explanation('session_gone', `The agent no longer has the session to go on in: ${said}`);
  if (subtype === 'error_max_turns')
    return explanation(
      'run_limit',
      `Stopped at its limit of turns: ${said}; raise --max-turns in its "args"`,
    );
  if (subtype === 'error_max_budget_usd') {
    const remedy = 'raise --max-budget-usd in its "args"';
    return explanation('run_limit', `Stopped at its limit of spend: ${said}; ${remedy}`);
  }
  return explanation('agent_error', `The agent failed: ${said}`);
}

function explainStatus(status: number, said: string, retryAt: number | null): Explanation {
  if (status === 401 || status === 403) {
    const remedy = 'set ANTHROPIC_API_KEY or run `claude` once to log in';
    return explanation('auth', `The API refused the key (${status}): ${said}; ${remedy}`);
  }
  if (status === 429) {
    const limited = `Rate limited (429): ${said}`;
    if (retryAt === null)
      return explanation('rate_limit', `${limited}; set max_parallel of the agent to run fewer at a time`);
    const error = `${limited}; the limit is lifted at ${new Date(retryAt).toISOString()}`;
    return { error, failureClass: 'rate_limit', retryAt };
  }
  if (status === 529) return explanation('overloaded', `The API is overloaded (529): ${said}`);
  if (status >= 500) return explanation('overloaded', `The API failed (${status}): ${said}`);
  return explanation('agent_error', `The API refused the request (${status}): ${said}`);
}

/** Claude's command line says `error: unknown option '--x'` and the like, and exits. */
function refusesArguments(stderr: string): boolean {
  return /^error: (unknown option|option .* argument)/mu.test(stderr);
}

function firstError(errors: unknown): string | undefined {
  return Array.isArray(errors) && typeof errors[0] === 'string' ? errors[0] : undefined;
}

/** A Unix time in seconds as milliseconds; null where it is none, or out of any calendar. */
function timeOf(seconds: unknown): number | null {
  if (typeof seconds !== 'number' || seconds <= 0) return null;
  const ms = Math.round(seconds * 1000);
  return Number.isNaN(new Date(ms).getTime()) ? null : ms;
}
