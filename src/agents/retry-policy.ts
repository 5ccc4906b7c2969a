import type { FinalState } from '../protocol/task.js';
import type { Claim, Outcome, Release } from '../tasks/task-store.js';
import type { FailureClass } from './agent-provider.js';
import type { AttemptEnd } from './attempt.js';

/** What becomes of a task after an attempt. */
export type Settlement = { kind: 'finish'; outcome: Outcome } | { kind: 'release'; release: Release };

const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 300_000;
/** Part of a delay that is left to chance, so that tasks which failed together do not come back together. */
const JITTER = 0.2;

/** These would fail in the same way again. */
const HOPELESS: ReadonlySet<FailureClass> = new Set(['agent_missing', 'bad_arguments']);

/** Delay before the attempt that follows attempt number `attempt`: 5 s, 10 s, 20 s … 5 min, give or take a tenth. */
export function retryDelayMs(attempt: number, random: () => number): number {
  const delay = Math.min(FIRST_RETRY_MS * 2 ** (attempt - 1), LONGEST_RETRY_MS);
  return Math.round(delay * (1 - JITTER / 2 + JITTER * random()));
}

/** Decides, from how an attempt ended, what becomes of its task. */
export function settle(claim: Claim, end: AttemptEnd, now: number, random: () => number): Settlement {
  switch (end.verb) {
    case 'cancel':
      return finish(claim, end, 'cancelled', 'Cancelled');
    case 'timeout':
      return finish(claim, end, 'timeout', timeoutText(claim, end));
    case 'stop':
    case 'lost':
      return end.verdict.ok ? finish(claim, end, 'completed', null) : cutOff(claim, end);
    case 'finished':
    case null:
      return ended(claim, end, now, random);
    default:
      return end.verb satisfies never;
  }
}

function ended(claim: Claim, end: AttemptEnd, now: number, random: () => number): Settlement {
  if (end.verdict.ok) return finish(claim, end, 'completed', null);
  const { failureClass, error, sessionId } = end.verdict;
  const hopeless = failureClass !== null && HOPELESS.has(failureClass);
  if (hopeless || claim.retriesLeft <= 0 || claim.task.attempt >= claim.task.maxAttempts)
    return finish(claim, end, 'failed', error);
  return {
    kind: 'release',
    release: {
      runAt: now + retryDelayMs(claim.task.attempt, random),
      waitReason: 'retry',
      error,
      sessionId,
      outputBytes: end.outputBytes,
      usesRetry: true,
      countsAsAttempt: true,
    },
  };
}

function finish(claim: Claim, end: AttemptEnd, state: FinalState, error: string | null): Settlement {
  const { result, sessionId, costUsd, usage } = end.verdict;
  const outcome: Outcome = {
    state,
    result,
    error,
    exitCode: end.exitCode,
    signal: end.signal,
    sessionId: sessionId ?? claim.task.sessionId,
    costUsd,
    usage,
    outputBytes: end.outputBytes,
  };
  return { kind: 'finish', outcome };
}

function timeoutText(claim: Claim, end: AttemptEnd): string {
  const limit = claim.task.timeoutMs ?? end.durationMs;
  const text = limit >= 60_000 ? `${Math.round(limit / 6_000) / 10} min` : `${limit / 1000} s`;
  return `Timed out after ${text}; give it more with --timeout`;
}

/** Cut off by the daemon's stop. It counts like a crash: an agent that stops its own daemon must not do so for ever. */
function cutOff(claim: Claim, end: AttemptEnd): Settlement {
  const { attempt, maxAttempts } = claim.task;
  const error = 'The daemon stopped before the agent had finished';
  if (attempt >= maxAttempts)
    return finish(claim, end, 'failed', `${error} (attempt ${attempt} of ${maxAttempts})`);
  return {
    kind: 'release',
    release: {
      runAt: null,
      waitReason: null,
      error,
      sessionId: end.verdict.sessionId,
      outputBytes: end.outputBytes,
      usesRetry: false,
      countsAsAttempt: true,
    },
  };
}

/** Back to the queue before the agent has done anything. */
export function untouched(error: string | null): Release {
  return {
    runAt: null,
    waitReason: null,
    error,
    sessionId: null,
    outputBytes: 0,
    usesRetry: false,
    countsAsAttempt: false,
  };
}

/** After a crash or reboot: another attempt while there is one left, else the end, so that a task cannot crash for ever. */
export function settleInterrupted(claim: Claim, cancelRequested: boolean): Settlement {
  const { attempt, maxAttempts, sessionId, outputBytes } = claim.task;
  if (cancelRequested) return bareEnd('cancelled', 'Cancelled', claim.task);
  const error = 'Interrupted: the daemon or the machine went down before the agent had finished';
  if (attempt >= maxAttempts) {
    const text = `${error} (attempt ${attempt} of ${maxAttempts})`;
    return bareEnd('failed', text, claim.task);
  }
  return {
    kind: 'release',
    release: {
      runAt: null,
      waitReason: null,
      error,
      sessionId,
      outputBytes,
      usesRetry: false,
      countsAsAttempt: true,
    },
  };
}

/** The end of a task of which nothing is known but why. */
export function bareEnd(
  state: FinalState,
  error: string,
  { sessionId, outputBytes }: Pick<Outcome, 'sessionId' | 'outputBytes'>,
): Settlement {
  const nothing = { result: null, exitCode: null, signal: null, costUsd: null, usage: null };
  return { kind: 'finish', outcome: { state, error, sessionId, outputBytes, ...nothing } };
}
