import type { TokenCounts, Usage } from '../../protocol/task.js';
import type { CodexAgentConfig } from '../agent-config.js';
import {
  type AgentExit,
  type AgentProvider,
  endOfText,
  lastLines,
  MAX_RESULT_BYTES,
  type OutputParser,
  type ParserContext,
  type Verdict,
} from '../agent-provider.js';
import {
  type Counted,
  endedSilently,
  type Failure,
  failure,
  limitFailure,
  refusedArguments,
  sessionGone,
  statusFailure,
  unreachable,
  wentWell,
  wentWrong,
} from './api-failure.js';
import { amount, keptUsage, Surprises, since } from './counted-usage.js';
import { isObject, parseObject } from './json-line.js';
import { ProgressNotes, toolWords } from './progress-notes.js';
import { UUID } from './uuid.js';

/**
 * Codex, headless: `codex exec --json`, one event a line on stdout, the prompt on stdin. Measured with 0.169.
 *
 * It reads a repository's own `.codex/` only where the user's configuration trusts that folder. For tasks from outside
 * that trust is left out, and with it the whole of the user's `config.toml`: no switch takes it away for one run alone.
 */
export function codexProvider(config: CodexAgentConfig): AgentProvider {
  return {
    envFamily: ['OPENAI_*', 'CODEX_*'],
    sessions: true,
    isSession: (id) => UUID.test(id),
    counts: 'tokens',
    takesOutside: true,
    probe: {
      version: ['--version'],
      help: ['exec', '--help'],
      words: [
        '--json',
        '--skip-git-repo-check',
        '--model',
        '--ignore-user-config',
        '--ignore-rules',
        'resume',
      ],
    },
    prepare: ({ prompt, resume, outside }) => {
      const session = resume !== null && UUID.test(resume) ? resume : null;
      const restricted = outside && config.outside_settings !== 'all';
      return {
        program: config.program ?? 'codex',
        args: [
          'exec',
          // Before `resume`, which does not take `--sandbox` itself.
          ...(config.args ?? []),
          ...(session === null ? [] : ['resume']),
          '--json',
          '--skip-git-repo-check',
          ...(config.model ? ['--model', config.model] : []),
          ...(restricted ? ['--ignore-user-config', '--ignore-rules'] : []),
          ...(session === null ? [] : [session]),
          '-',
        ],
        env: {},
        stdin: prompt,
      };
    },
    createParser: (context) => new CodexParser(context),
  };
}

class CodexParser implements OutputParser {
  readonly readsLines = true;
  readonly questions = [];
  sessionId: string | null = null;
  hasResult = false;
  #baseline: TokenCounts | null;
  readonly #resumed: string | null;
  readonly #progress = new ProgressNotes();
  readonly #surprises = new Surprises();
  #text: string | null = null;
  #completed = false;
  /** Why the turn failed, in its words. */
  #failed: string | null = null;
  /** The last error that it told on the way; it may have got over it. */
  #trouble = '';
  #usage: Usage | null = null;
  /** Of the whole session. */
  #total: TokenCounts | null = null;

  constructor({ baseline, resumed = null }: ParserContext) {
    this.#resumed = resumed;
    this.#baseline = baseline?.tokens ?? null;
  }

  get progress() {
    return this.#progress.shown;
  }

  line(bytes: Buffer): void {
    const event = parseObject(bytes);
    switch (event?.['type']) {
      case 'thread.started':
        this.#noteSession(event['thread_id']);
        return;
      case 'turn.started':
        this.hasResult = false;
        return;
      case 'item.started':
        this.#begun(event['item']);
        return;
      case 'item.completed':
        this.#done(event['item']);
        return;
      case 'turn.completed':
        this.#completed = true;
        this.#failed = null;
        this.hasResult = true;
        this.#count(event['usage']);
        return;
      case 'turn.failed':
        this.#completed = false;
        this.#failed = messageIn(event['error']) ?? (this.#trouble || 'no reason given');
        this.hasResult = true;
        return;
      case 'error':
        this.#trouble = messageIn(event) ?? this.#trouble;
        return;
      default:
    }
  }

  #noteSession(id: unknown): void {
    if (typeof id === 'string' && UUID.test(id)) this.sessionId = id;
    else this.#surprises.note('codex names its session in another form than a UUID: it cannot be resumed');
    if (this.#resumed !== null && this.sessionId !== this.#resumed) this.#baseline = null;
  }

  #begun(item: unknown): void {
    const tool = isObject(item) ? toolOf(item) : undefined;
    // It does not tell its turns: each call of a tool, and each message, is an answer of the model.
    if (tool !== undefined) this.#progress.answered({ tool });
  }

  #done(item: unknown): void {
    if (!isObject(item)) return;
    if (item['type'] === 'agent_message' && typeof item['text'] === 'string') {
      this.#text = endOfText(item['text'], MAX_RESULT_BYTES);
      this.#progress.answered({ text: this.#text, tool: null });
    } else if (toolOf(item) !== undefined) this.#progress.note({ tool: null });
  }

  #count(usage: unknown): void {
    const fields = isObject(usage) ? usage : {};
    const input = amount(fields['input_tokens']);
    const output = amount(fields['output_tokens']);
    if (input === undefined || output === undefined) {
      this.#surprises.note('codex does not tell its tokens as it did: they are not counted');
      return;
    }
    this.#usage = keptUsage(fields);
    this.#total = { input, output, cachedInput: amount(fields['cached_input_tokens']) ?? 0 };
    this.#progress.note({ tokens: this.#ofThisAttempt(this.#total) });
  }

  /** Its count goes on over a resumed session. */
  #ofThisAttempt(total: TokenCounts): TokenCounts {
    if (this.#baseline === null) return total;
    const grown = since(this.#baseline, total);
    if (grown === undefined)
      this.#surprises.note(
        'codex has counted less for the session than before: taken as the tokens of this run',
      );
    return grown ?? total;
  }

  verdict(exit: AgentExit): Verdict {
    const total = this.#total;
    const counted: Counted = {
      result: this.#text,
      sessionId: this.sessionId,
      costUsd: null,
      usage: this.#usage,
      tokens: total === null ? null : this.#ofThisAttempt(total),
      sessionTotals: total === null ? null : { costUsd: null, tokens: total },
      surprises: this.#surprises.list,
    };
    if (this.#completed) return wentWell(counted);
    if (this.#failed !== null) return wentWrong(counted, explain(this.#failed));
    return wentWrong(counted, explainSilence(exit, this.#trouble));
  }
}

function messageIn(value: unknown): string | undefined {
  return isObject(value) && typeof value['message'] === 'string' ? value['message'] : undefined;
}

/** The tool of an item; undefined for what is none. */
function toolOf(item: Record<string, unknown>): string | undefined {
  switch (item['type']) {
    case 'command_execution':
      return toolWords('shell', item['command']);
    case 'mcp_tool_call':
      return toolWords('mcp', `${String(item['server'])} ${String(item['tool'])}`);
    case 'web_search':
      return toolWords('web search', item['query']);
    case 'file_change':
      return toolWords('edit', undefined);
    default:
      return undefined;
  }
}

const LOGIN = 'set OPENAI_API_KEY as its model provider wants it, or run `codex login` once';

/** Its messages hold the status in words: `unexpected status 401 …`, `last status: 429 …`, or `"code":400`. */
function explain(said: string): Failure {
  const told = /status:? (\d{3})\b/u.exec(said) ?? /"code": ?(\d{3})\b/u.exec(said);
  if (told !== null) return statusFailure(Number(told[1]), said, { login: LOGIN, retryAt: null });
  if (/usage limit|rate limit/iu.test(said)) return limitFailure(`Rate limited: ${said}`, null);
  if (/high demand|overloaded|at capacity/iu.test(said))
    return failure('overloaded', `The API is overloaded: ${said}`);
  if (/connection failed|error sending request|stream disconnected|timed? ?out/iu.test(said))
    return unreachable(said, 'the base_url of its model provider');
  return failure('agent_error', `The agent failed: ${said}`);
}

/** What it prints on stderr in every run. */
const NOISE = /^(Reading prompt from stdin|WARNING: proceeding, even though)/u;

function explainSilence(exit: AgentExit, trouble: string): Failure {
  const words = exit.stderrTail().split('\n');
  const stderr = lastLines(words.filter((line) => !NOISE.test(line)).join('\n'));
  if (stderr.includes('no rollout found')) return sessionGone(stderr);
  if (exit.exitCode === 2 || /^Error loading config/mu.test(stderr)) return refusedArguments(stderr);
  return endedSilently(exit, stderr === '' ? trouble : stderr);
}
