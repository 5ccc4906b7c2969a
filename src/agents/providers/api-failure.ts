import { type AgentExit, describeExit, type FailureClass, type Verdict } from '../agent-provider.js';

/** Why an attempt failed, in a verdict's terms. */
export interface Failure {
  error: string;
  failureClass: FailureClass;
  retryAt: number | null;
}

export type Counted = Pick<
  Verdict,
  'result' | 'sessionId' | 'costUsd' | 'usage' | 'tokens' | 'sessionTotals' | 'surprises'
>;

export function failure(failureClass: FailureClass, error: string, retryAt: number | null = null): Failure {
  return { error, failureClass, retryAt };
}

export function wentWell(counted: Counted): Verdict {
  return { ok: true, error: null, failureClass: null, retryAt: null, ...counted };
}

export function wentWrong(counted: Counted, why: Failure): Verdict {
  return { ok: false, ...why, ...counted };
}

/** What an HTTP status of a model's API means, and what a person can do about it. */
export function statusFailure(
  status: number,
  said: string,
  { login, retryAt }: { login: string; retryAt: number | null },
): Failure {
  if (status === 401 || status === 403)
    return failure('auth', `The API refused the key (${status}): ${said}; ${login}`);
  if (status === 429) return limitFailure(`Rate limited (429): ${said}`, retryAt);
  if (status === 529) return failure('overloaded', `The API is overloaded (529): ${said}`);
  if (status >= 500) return failure('overloaded', `The API failed (${status}): ${said}`);
  return failure('agent_error', `The API refused the request (${status}): ${said}`);
}

export function limitFailure(limited: string, retryAt: number | null): Failure {
  if (retryAt === null)
    return failure('rate_limit', `${limited}; set max_parallel of the agent to run fewer at a time`);
  return failure(
    'rate_limit',
    `${limited}; the limit is lifted at ${new Date(retryAt).toISOString()}`,
    retryAt,
  );
}

export function unreachable(said: string, where: string): Failure {
  return failure(
    'connection',
    `The API could not be reached: ${said}; check the network, the proxy variables and ${where}`,
  );
}

export function refusedArguments(said: string): Failure {
  const remedy = 'correct its "args" and "model" in the configuration';
  return failure('bad_arguments', `The agent refuses how it was called: ${said}; ${remedy}`);
}

export function sessionGone(said: string): Failure {
  return failure('session_gone', `The agent no longer has the session to go on in: ${said}`);
}

/** It ended without having said how it went. */
export function endedSilently(exit: AgentExit, lastWords: string): Failure {
  const ended = `The agent ended without a result (${describeExit(exit)})`;
  return failure(
    exit.signal === null ? 'no_result' : 'signal',
    lastWords === '' ? ended : `${ended}: ${lastWords}`,
  );
}

/** A time in milliseconds since 1970; null where it is out of any calendar. */
export function timeOrNull(ms: number): number | null {
  return ms > 0 && !Number.isNaN(new Date(ms).getTime()) ? Math.round(ms) : null;
}
