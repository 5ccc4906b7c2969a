import { stripVTControlCharacters } from 'node:util';
import { AiwgdError } from '../../protocol/errors.js';
import type { TokenCounts, Usage } from '../../protocol/task.js';
import type { OpencodeAgentConfig } from '../agent-config.js';
import {
  type AgentExit,
  type AgentProvider,
  endOfText,
  lastLines,
  MAX_RESULT_BYTES,
  type OutputParser,
  type Verdict,
} from '../agent-provider.js';
import {
  type Counted,
  endedSilently,
  type Failure,
  failure,
  refusedArguments,
  sessionGone,
  statusFailure,
  timeOrNull,
  unreachable,
  wentWell,
  wentWrong,
} from './api-failure.js';
import { amount, keptUsage, plus, Surprises } from './counted-usage.js';
import { isObject, parseObject } from './json-line.js';
import { ProgressNotes, toolSubject, toolWords } from './progress-notes.js';

/** Begins with its kind; nothing else becomes an argument. */
const SESSION_ID = /^ses_[0-9A-Za-z]{8,64}$/u;

/** opencode, headless: one event a line on stdout, the prompt on stdin. Measured with 1.18. */
export function opencodeProvider(config: OpencodeAgentConfig): AgentProvider {
  // Measured: neither OPENCODE_DISABLE_PROJECT_CONFIG nor --pure keeps a plugin in .opencode/plugin from being run.
  const takesOutside = config.outside_settings === 'all';
  return {
    envFamily: ['OPENCODE_*'],
    sessions: true,
    isSession: (id) => SESSION_ID.test(id),
    counts: 'usd',
    takesOutside,
    probe: {
      version: ['--version'],
      help: ['run', '--help'],
      words: ['--format', 'raw JSON events', '--model', '--session'],
    },
    prepare: ({ prompt, resume, outside }) => {
      if (outside && !takesOutside) throw new AiwgdError('INVALID_PARAMS', OUTSIDE);
      const session = resume !== null && SESSION_ID.test(resume) ? resume : null;
      return {
        program: config.program ?? 'opencode',
        args: [
          'run',
          ...(config.args ?? []),
          '--format',
          'json',
          ...(config.model ? ['--model', config.model] : []),
          ...(session === null ? [] : ['--session', session]),
        ],
        env: { OPENCODE_DISABLE_AUTOUPDATE: '1' },
        stdin: prompt,
      };
    },
    createParser: () => new OpencodeParser(),
  };
}

const OUTSIDE =
  'A task from outside is not given to opencode, which always runs the plugins that a repository brings along: set ' +
  '"outside_settings": "all" for the agent if whoever sets such tasks off cannot change the repository, or name another agent';

class OpencodeParser implements OutputParser {
  readonly readsLines = true;
  readonly questions = [];
  sessionId: string | null = null;
  hasResult = false;
  readonly #progress = new ProgressNotes();
  readonly #surprises = new Surprises();
  #text: string | null = null;
  #error: Record<string, unknown> | undefined;
  #tokens: TokenCounts | null = null;
  #costUsd: number | null = null;
  #usage: Usage | null = null;

  get progress() {
    return this.#progress.shown;
  }

  line(bytes: Buffer): void {
    const event = parseObject(bytes);
    if (event === undefined) return;
    this.#noteSession(event['sessionID']);
    const part = isObject(event['part']) ? event['part'] : {};
    switch (event['type']) {
      case 'step_start':
        this.hasResult = false;
        this.#progress.answered();
        return;
      case 'text':
        if (typeof part['text'] === 'string') {
          this.#text = endOfText(part['text'], MAX_RESULT_BYTES);
          this.#progress.note({ text: this.#text });
        }
        return;
      case 'tool_use':
        this.#usedTool(part);
        return;
      case 'step_finish':
        this.#count(part);
        // After any other reason (stop, length, …) no step follows.
        this.hasResult = part['reason'] !== 'tool-calls';
        if (this.hasResult) this.#error = undefined;
        return;
      case 'error':
        this.#error = event;
        this.hasResult = false;
        return;
      default:
    }
  }

  #noteSession(id: unknown): void {
    if (typeof id !== 'string' || id === this.sessionId) return;
    if (SESSION_ID.test(id)) this.sessionId = id;
    else this.#surprises.note('opencode names its session in another form: it cannot be resumed');
  }

  /** It tells of a tool when the tool has ended. */
  #usedTool(part: Record<string, unknown>): void {
    const { state, tool } = part;
    const input = isObject(state) ? state['input'] : undefined;
    this.#progress.note({ tool: toolWords(typeof tool === 'string' ? tool : 'tool', toolSubject(input)) });
  }

  #count({ tokens, cost }: Record<string, unknown>): void {
    const dollars = amount(cost);
    const counts = isObject(tokens) ? countsOf(tokens) : undefined;
    if (dollars === undefined)
      this.#surprises.note('opencode does not tell its cost as it did: it is not counted');
    else this.#costUsd = (this.#costUsd ?? 0) + dollars;
    if (counts === undefined)
      this.#surprises.note('opencode does not tell its tokens as it did: they are not counted');
    else this.#tokens = plus(this.#tokens, counts);
    if (isObject(tokens)) this.#usage = keptUsage(tokens);
    this.#progress.note({ tool: null, tokens: this.#tokens, costUsd: this.#costUsd });
  }

  verdict(exit: AgentExit): Verdict {
    const counted: Counted = {
      result: this.#text,
      sessionId: this.sessionId,
      costUsd: this.#costUsd,
      usage: this.#tokens === null ? this.#usage : { ...this.#tokens, lastStep: this.#usage },
      tokens: this.#tokens,
      sessionTotals: null,
      surprises: this.#surprises.list,
    };
    if (this.#error !== undefined) return wentWrong(counted, explain(this.#error));
    if (this.hasResult && exit.exitCode !== 1) return wentWell(counted);
    return wentWrong(counted, explainSilence(exit));
  }
}

/** It counts what came from a cache, went into it, and thoughts apart from input and output. */
function countsOf({ input, output, reasoning, cache }: Record<string, unknown>): TokenCounts | undefined {
  const read = amount(input);
  const written = amount(output);
  if (read === undefined || written === undefined) return undefined;
  const cached = isObject(cache) ? cache : {};
  const cachedInput = amount(cached['read']) ?? 0;
  return {
    input: read + cachedInput + (amount(cached['write']) ?? 0),
    cachedInput,
    output: written + (amount(reasoning) ?? 0),
  };
}

const LOGIN = 'run `opencode auth login`, or let the agent see the key of its provider with env_allow';

function explain({ error, timestamp }: Record<string, unknown>): Failure {
  const { name, data: told } = isObject(error) ? error : {};
  const data = isObject(told) ? told : {};
  const title = typeof name === 'string' ? name : 'no reason given';
  const said = typeof data['message'] === 'string' ? data['message'] : title;
  const status = data['statusCode'];
  if (typeof status === 'number')
    return statusFailure(status, said, {
      login: LOGIN,
      retryAt: retryTime(data['responseHeaders'], timestamp),
    });
  if (name === 'ProviderAuthError')
    return failure('auth', `The provider refused the login: ${said}; ${LOGIN}`);
  if (/cannot connect|unable to connect|ECONN|ENOTFOUND|fetch failed/iu.test(said))
    return unreachable(said, "the provider's baseURL");
  return failure('agent_error', `The agent failed: ${said}`);
}

/** `retry-after` in seconds, counted from when the error was written. */
function retryTime(headers: unknown, timestamp: unknown): number | null {
  const seconds = isObject(headers) ? Number.parseFloat(String(headers['retry-after'])) : Number.NaN;
  const from = amount(timestamp);
  return Number.isNaN(seconds) || from === undefined ? null : timeOrNull(from + seconds * 1000);
}

function explainSilence(exit: AgentExit): Failure {
  const stderr = stripVTControlCharacters(exit.stderrTail());
  const last = lastLines(stderr);
  if (stderr.includes('Session not found')) return sessionGone(last);
  // It answers an option that it does not know with its whole help.
  if (/^ +-h, --help +show help/mu.test(stderr)) return refusedArguments('an option in its args is unknown');
  if (stderr.includes('Model not found')) return refusedArguments(last);
  return endedSilently(exit, last);
}
