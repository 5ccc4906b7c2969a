import {
  type AgentExit,
  describeExit,
  type FailureClass,
  lastLines,
  type Verdict,
} from '../agent-provider.js';

/** The fields we read of a `result` line; every one may be missing. */
export interface ResultLine {
  subtype?: unknown;
  is_error?: unknown;
  result?: unknown;
  errors?: unknown;
  stop_reason?: unknown;
  terminal_reason?: unknown;
  api_error_status?: unknown;
  api_error?: unknown;
}

export type Explanation = Pick<Verdict, 'error' | 'failureClass' | 'retryAt'>;

function explanation(failureClass: FailureClass, error: string): Explanation {
  return { error, failureClass, retryAt: null };
}

/** Until when the API told to wait, in milliseconds since 1970; null where it told nothing. */
export interface ToldTimes {
  /** The end of a subscription's limit (`rate_limit_event`). */
  limit: number | null;
  /** The API's `retry-after`, as far as the program tells it. */
  retry: number | null;
}

/** What it means to end without a result. */
export function explainSilence(exit: AgentExit): Explanation {
  const stderr = lastLines(exit.stderrTail());
  if (refusesArguments(stderr)) {
    const text = `The agent refuses how it was called: ${stderr}; correct its "args" in the configuration`;
    return explanation('bad_arguments', text);
  }
  const ended = `The agent ended without a result (${describeExit(exit)})`;
  const text = stderr === '' ? ended : `${ended}: ${stderr}`;
  return explanation(exit.signal === null ? 'no_result' : 'signal', text);
}

/** What it means that it was ended while it waited for the API. */
export function explainWaiting(
  { status, waitedMs }: { status: number | null; waitedMs: number },
  told: ToldTimes,
): Explanation {
  const said = `the API let it wait for ${Math.round(waitedMs / 1000)} s`;
  return status === null ? unreachable(said) : explainStatus(status, said, told);
}

/** What a failed result means and what a person can do about it. */
export function explain(result: ResultLine, text: string | null, told: ToldTimes): Explanation {
  const { api_error_status: status } = result;
  const subtype = typeof result.subtype === 'string' ? result.subtype : 'no reason given';
  const said = text ?? firstError(result.errors) ?? subtype;
  if (result.terminal_reason === 'prompt_too_long') {
    const remedy = 'begin a new conversation, or name files in the prompt instead of their text';
    return explanation('agent_error', `The prompt is too long for the model: ${said}; ${remedy}`);
  }
  if (typeof status === 'number') return explainStatus(status, said, told);
  if (result.api_error === 'connection_failed') return unreachable(said);
  if (firstError(result.errors)?.startsWith('No conversation found') === true)
    return explanation('session_gone', `The agent no longer has the session to go on in: ${said}`);
  return explanation(
    ...(explainLimit(subtype, said) ?? explainAnswer(result, said) ?? failed(`The agent failed: ${said}`)),
  );
}

type Explained = [failureClass: FailureClass, error: string];

function failed(error: string): Explained {
  return ['agent_error', error];
}

/** Where a limit of the run has ended it. */
function explainLimit(subtype: string, said: string): Explained | undefined {
  if (subtype === 'error_max_turns')
    return ['run_limit', `Stopped at its limit of turns: ${said}; raise max_turns of the agent`];
  if (subtype === 'error_max_budget_usd') {
    const remedy = 'raise budget.per_task_usd in the configuration';
    return ['run_limit', `Stopped at its limit of spend: ${said}; ${remedy}`];
  }
  return undefined;
}

/** Where the model's answer was none that the agent could work with. */
function explainAnswer(
  { stop_reason: reason, api_error: error }: ResultLine,
  said: string,
): Explained | undefined {
  if (reason === 'refusal')
    return failed(`The model refused to answer: ${said}; word the task differently, or choose another model`);
  if (error === 'max_output_tokens') {
    const remedy = 'ask for less at a time, or set CLAUDE_CODE_MAX_OUTPUT_TOKENS in the agent\'s "env"';
    return failed(`The model's answer was cut off at its limit of tokens: ${said}; ${remedy}`);
  }
  return undefined;
}

function unreachable(said: string): Explanation {
  const remedy = 'check the network, the proxy variables and ANTHROPIC_BASE_URL';
  return explanation('connection', `The API could not be reached: ${said}; ${remedy}`);
}

function explainStatus(status: number, said: string, told: ToldTimes): Explanation {
  if (status === 401 || status === 403) {
    const remedy = 'set ANTHROPIC_API_KEY or run `claude` once to log in';
    return explanation('auth', `The API refused the key (${status}): ${said}; ${remedy}`);
  }
  if (status === 429) {
    const until = told.limit ?? told.retry;
    const limited = `Rate limited (429): ${said}`;
    if (until === null)
      return explanation('rate_limit', `${limited}; set max_parallel of the agent to run fewer at a time`);
    const error = `${limited}; the limit is lifted at ${new Date(until).toISOString()}`;
    return { error, failureClass: 'rate_limit', retryAt: until };
  }
  if (status === 404)
    return explanation(
      'agent_error',
      `The API does not know what was asked for (404): ${said}; check the agent's "model"`,
    );
  const busy = { failureClass: 'overloaded', retryAt: told.retry } as const;
  if (status === 529) return { error: `The API is overloaded (529): ${said}`, ...busy };
  if (status >= 500) return { error: `The API failed (${status}): ${said}`, ...busy };
  return explanation('agent_error', `The API refused the request (${status}): ${said}`);
}

/** Claude's command line says `error: unknown option '--x'` and the like, and exits. */
function refusesArguments(stderr: string): boolean {
  return /^error: (unknown option|option .* argument)/mu.test(stderr);
}

function firstError(errors: unknown): string | undefined {
  return Array.isArray(errors) && typeof errors[0] === 'string' ? errors[0] : undefined;
}
