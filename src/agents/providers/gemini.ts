import { stripVTControlCharacters } from 'node:util';
import type { TokenCounts, Usage } from '../../protocol/task.js';
import type { GeminiAgentConfig } from '../agent-config.js';
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
import { amount, keptUsage, Surprises } from './counted-usage.js';
import { isObject, parseObject } from './json-line.js';
import { ProgressNotes, toolSubject, toolWords } from './progress-notes.js';
import { UUID } from './uuid.js';

/**
 * Gemini CLI, headless: one event a line on stdout, the prompt on stdin. Measured with 0.61.
 *
 * It refuses to work without a person in a folder that is not trusted. So the project is trusted, as the one who set up
 * the agent meant it; but for tasks from outside it is not: then gemini works only where the user's own settings turn
 * `security.folderTrust.enabled` off, and leaves the repository's settings, hooks, MCP servers and `.env` alone.
 */
export function geminiProvider(config: GeminiAgentConfig): AgentProvider {
  return {
    envFamily: ['GEMINI_*', 'GOOGLE_*'],
    sessions: true,
    isSession: (id) => UUID.test(id),
    counts: 'tokens',
    takesOutside: true,
    probe: {
      version: ['--version'],
      help: ['--help'],
      words: ['--output-format', 'stream-json', '--model', '--resume', '--skip-trust'],
    },
    prepare: ({ prompt, resume, outside }) => {
      const session = resume !== null && UUID.test(resume) ? resume : null;
      const restricted = outside && config.outside_settings !== 'all';
      return {
        program: config.program ?? 'gemini',
        args: [
          ...(config.args ?? []),
          '--output-format',
          'stream-json',
          ...(config.model ? ['--model', config.model] : []),
          ...(session === null ? [] : ['--resume', session]),
        ],
        env: {
          // Else it starts itself once more, as a child that no signal is handed on to.
          GEMINI_CLI_NO_RELAUNCH: 'true',
          GEMINI_CLI_TRUST_WORKSPACE: restricted ? 'false' : 'true',
        },
        stdin: prompt,
      };
    },
    createParser: () => new GeminiParser(),
  };
}

class GeminiParser implements OutputParser {
  readonly readsLines = true;
  readonly questions = [];
  sessionId: string | null = null;
  hasResult = false;
  readonly #progress = new ProgressNotes();
  readonly #surprises = new Surprises();
  /** Of the newest answer. */
  #text = '';
  /** Whether what it says next belongs to another answer. */
  #answerEnded = true;
  #result: Record<string, unknown> | undefined;
  #tokens: TokenCounts | null = null;
  #usage: Usage | null = null;

  get progress() {
    return this.#progress.shown;
  }

  line(bytes: Buffer): void {
    const event = parseObject(bytes);
    switch (event?.['type']) {
      case 'init':
        if (typeof event['session_id'] === 'string' && UUID.test(event['session_id']))
          this.sessionId = event['session_id'];
        else
          this.#surprises.note('gemini names its session in another form than a UUID: it cannot be resumed');
        return;
      case 'message':
        // The prompt comes back as a message of the user.
        if (event['role'] === 'assistant' && typeof event['content'] === 'string')
          this.#said(event['content'], event['delta'] === true);
        return;
      case 'tool_use':
        this.#useTool(event);
        return;
      case 'tool_result':
        this.#progress.note({ tool: null });
        return;
      case 'result':
        this.#result = event;
        this.hasResult = true;
        this.#count(event['stats']);
        return;
      default:
    }
  }

  #said(content: string, delta: boolean): void {
    const goesOn = delta && !this.#answerEnded;
    const text = goesOn ? this.#text + content : content;
    // Cut seldom: twice what is kept may come together.
    this.#text = text.length <= 2 * MAX_RESULT_BYTES ? text : endOfText(text, MAX_RESULT_BYTES);
    this.#answerEnded = !delta;
    if (goesOn) this.#progress.note({ text: this.#text });
    else this.#progress.answered({ text: this.#text });
  }

  #useTool(event: Record<string, unknown>): void {
    const name = typeof event['tool_name'] === 'string' ? event['tool_name'] : 'tool';
    const tool = toolWords(name, toolSubject(event['parameters']));
    // A call without a word before it is an answer too.
    if (this.#answerEnded) this.#progress.answered({ tool });
    else this.#progress.note({ tool });
    this.#answerEnded = true;
  }

  /** What this run has used, the model that chooses the model included; a resumed session begins at 0 again. */
  #count(stats: unknown): void {
    const fields = isObject(stats) ? stats : {};
    const input = amount(fields['input_tokens']);
    const output = amount(fields['output_tokens']);
    if (input === undefined || output === undefined) {
      this.#surprises.note('gemini does not tell its tokens as it did: they are not counted');
      return;
    }
    // Thoughts are paid for as output, and stand in the total only.
    const all = Math.max(output, (amount(fields['total_tokens']) ?? 0) - input);
    this.#usage = keptUsage(fields);
    this.#tokens = { input, cachedInput: amount(fields['cached']) ?? 0, output: all };
    this.#progress.note({ tokens: this.#tokens });
  }

  verdict(exit: AgentExit): Verdict {
    const counted: Counted = {
      result: this.#text === '' ? null : endOfText(this.#text, MAX_RESULT_BYTES),
      sessionId: this.sessionId,
      costUsd: null,
      usage: this.#usage,
      tokens: this.#tokens,
      sessionTotals: null,
      surprises: this.#surprises.list,
    };
    if (this.#result === undefined) return wentWrong(counted, explainSilence(exit));
    if (this.#result['status'] === 'success') return wentWell(counted);
    return wentWrong(counted, explain(this.#result, exit));
  }
}

const LOGIN = 'set GEMINI_API_KEY, or run `gemini` once to log in';
const TURN_LIMIT_EXIT = 53;
/** Its exit code is the status's last eight bits, for these at least. */
const TOLD_BY_EXIT = [400, 401, 403, 429, 500, 502, 503, 504, 529];

function explain({ error, timestamp }: Record<string, unknown>, exit: AgentExit): Failure {
  const said = isObject(error) && typeof error['message'] === 'string' ? error['message'] : 'no reason given';
  if (exit.exitCode === TURN_LIMIT_EXIT) return turnLimit(said);
  const told = /"code":\s*(\d{3})\b/u.exec(said);
  const status =
    told === null ? TOLD_BY_EXIT.find((code) => (code & 0xff) === exit.exitCode) : Number(told[1]);
  if (status !== undefined)
    return statusFailure(status, said, { login: LOGIN, retryAt: retryTime(said, timestamp) });
  if (/fetch failed|ECONN|ENOTFOUND|EAI_AGAIN/u.test(said))
    return unreachable(said, 'GOOGLE_GEMINI_BASE_URL');
  return failure('agent_error', `The agent failed: ${said}`);
}

/** Google's words are `Please retry in 41.7s`; counted from when the result was written. */
function retryTime(said: string, timestamp: unknown): number | null {
  const told = /retry in (\d+(?:\.\d+)?)s/u.exec(said);
  const from = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN;
  return told === null || Number.isNaN(from) ? null : timeOrNull(from + Number(told[1]) * 1000);
}

function turnLimit(said: string): Failure {
  return failure(
    'run_limit',
    `Stopped at its limit of turns: ${said}; raise maxSessionTurns in its settings`,
  );
}

/** Its own exit codes: 41 no login, 42 bad input, 52 bad settings, 53 turns, 55 a folder that is not trusted. */
function explainSilence(exit: AgentExit): Failure {
  const stderr = stripVTControlCharacters(exit.stderrTail());
  const last = lastLines(stderr);
  if (stderr.includes('Error resuming session')) return sessionGone(last);
  // It answers an option that it does not know with its whole help.
  if (/^ +-h, --help +Show help/mu.test(stderr)) return refusedArguments('an option in its args is unknown');
  if (exit.exitCode === 41) return failure('auth', `Gemini is not logged in: ${last}; ${LOGIN}`);
  if (exit.exitCode === 42 || exit.exitCode === 52) return refusedArguments(last);
  if (exit.exitCode === TURN_LIMIT_EXIT) return turnLimit(last);
  if (exit.exitCode === 55) return failure('bad_arguments', UNTRUSTED);
  return endedSilently(exit, last);
}

const UNTRUSTED =
  'Gemini does not work in a folder that it does not trust, and a task from outside is not trusted: turn ' +
  '"security.folderTrust.enabled" off in ~/.gemini/settings.json, so that it works without what the repository brings along, ' +
  'or set "outside_settings": "all" for the agent, so that the repository\'s settings take effect too';
