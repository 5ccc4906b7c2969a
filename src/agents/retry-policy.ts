import type { FinalState, WaitReason } from '../protocol/task.js';
import type { Claim, Outcome, Release } from '../tasks/task-store.js';
import type { FailureClass } from './agent-provider.js';
import type { AttemptEnd } from './attempt.js';
import { withCharge } from './charge.js';
import { type Circumstances, type MetLimit, NO_CIRCUMSTANCES } from './limits/permit.js';
import { type Feedback, storedFeedback, verificationError } from './verification.js';

/** What becomes of a task after an attempt. */
export type Settlement = { kind: 'finish'; outcome: Outcome } | { kind: 'release'; release: Release };

/** What follows a failure of one class. */
interface Policy {
  /** `asked`: only as often as `--retries` says. `always`: by itself. Both within `maxAttempts`. */
  again: 'never' | 'asked' | 'always';
  /** Delay before the second attempt; it doubles from attempt to attempt. 0: at once. */
  firstDelayMs: number;
  /** Whether the next attempt goes on in the agent's session, where one is known; else it begins anew. */
  resumes: boolean;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

const HOPELESS: Policy = { again: 'never', firstDelayMs: 0, resumes: false };
/** The agent has spoken: only the user knows whether it is worth the money to ask again. */
const JUDGED: Policy = { again: 'asked', firstDelayMs: 5 * SECOND, resumes: false };
const CRASHED: Policy = { again: 'always', firstDelayMs: 5 * SECOND, resumes: true };
/** Claude has tried for three minutes by itself before it says so. */
const BUSY: Policy = { again: 'always', firstDelayMs: 30 * SECOND, resumes: true };

const POLICIES: Readonly<Record<FailureClass, Policy>> = {
  agent_missing: HOPELESS,
  bad_arguments: HOPELESS,
  auth: HOPELESS,
  run_limit: JUDGED,
  agent_error: JUDGED,
  connection: BUSY,
  /** Both only where it is not waited for the provider, see `MetLimit`. */
  overloaded: BUSY,
  rate_limit: BUSY,
  signal: CRASHED,
  no_result: CRASHED,
  stalled: CRASHED,
  vanished: { again: 'always', firstDelayMs: 0, resumes: true },
  session_gone: { again: 'always', firstDelayMs: 0, resumes: false },
};

/** What most releases do not tell. */
const NOTHING_MORE = { charge: null, feedback: null, goneSession: null };

const LONGEST_DELAY_MS = 5 * MINUTE;
/** Part of a delay that is left to chance, so that tasks which failed together do not come back together. */
const JITTER = 0.2;

/** So many daemons in a row may go down with a task in their hands before it is taken for the cause. */
export const MAX_TAKEOVERS = 10;

/** Delay before the attempt that follows number `attempt`: `first`, then doubled each time up to 5 min, give or take a tenth. */
export function retryDelayMs(first: number, attempt: number, random: () => number): number {
  const delay = Math.min(first * 2 ** (attempt - 1), LONGEST_DELAY_MS);
  return Math.round(delay * (1 - JITTER / 2 + JITTER * random()));
}

/** Decides, from how an attempt ended and what `Admission.ended` answered to that, what becomes of its task. */
export function settle(
  claim: Claim,
  end: AttemptEnd,
  now: number,
  random: () => number,
  circumstances: Circumstances = NO_CIRCUMSTANCES,
): Settlement {
  const settlement = decide(claim, end, { now, random, limit: circumstances.limit });
  return circumstances.foreignSession ? withoutSession(settlement) : settlement;
}

interface Moment {
  now: number;
  random: () => number;
  limit: MetLimit | null;
}

function decide(claim: Claim, end: AttemptEnd, moment: Moment): Settlement {
  switch (end.verb) {
    case 'cancel':
      return finish(claim, end, 'cancelled', 'Cancelled');
    case 'timeout':
      return finish(claim, end, 'timeout', timeoutText(claim, end));
    case 'stop':
    case 'lost':
      return end.verdict.ok ? finish(claim, end, 'completed', null) : cutOff(claim, end);
    case 'stalled':
    case 'finished':
    case null:
      return end.verdict.ok ? finish(claim, end, 'completed', null) : failed(claim, end, moment);
    default:
      return end.verb satisfies never;
  }
}

function failed(claim: Claim, end: AttemptEnd, { now, random, limit }: Moment): Settlement {
  const { failureClass, error } = failureOf(end);
  const { attempt, maxAttempts } = claim.task;
  if (limit !== null && !limit.counts) return afterLimit(claim, end, error, limit);
  const { again, firstDelayMs, resumes } = POLICIES[failureClass];
  if (again === 'never' || (again === 'asked' && claim.retriesLeft <= 0))
    return finish(claim, end, 'failed', error);
  if (attempt >= maxAttempts)
    return finish(claim, end, 'failed', `${error} (attempt ${attempt} of ${maxAttempts})`);
  const runAt = firstDelayMs === 0 ? null : now + retryDelayMs(firstDelayMs, attempt, random);
  return release(claim, end, error, {
    runAt,
    waitReason: runAt === null ? null : 'retry',
    resumes,
    usesRetry: again === 'asked',
    ...(failureClass === 'session_gone' ? { goneSession: sessionTried(claim) } : {}),
  });
}

/** What an attempt that was not ok has failed of. */
function failureOf({ verb, verdict, exitKnown }: AttemptEnd): { failureClass: FailureClass; error: string } {
  const error = verdict.error ?? 'The agent failed';
  if (verb === 'stalled') return { failureClass: 'stalled', error: STALLED };
  const failureClass = verdict.failureClass ?? 'agent_error';
  // Without its exit, all but what the agent itself has said is a guess.
  const guessed = failureClass === 'no_result' || failureClass === 'signal';
  return !exitKnown && guessed ? { failureClass: 'vanished', error: VANISHED } : { failureClass, error };
}

const STALLED =
  'The agent showed no progress for as long as its stall_minutes say, and was ended; raise them where that is normal';
const VANISHED = 'Interrupted: the machine or the agent’s runner went down before the agent had finished';

/** A limit of the provider is nothing that the task did: it waits, or another agent begins anew with it. */
function afterLimit(claim: Claim, end: AttemptEnd, error: string, { until, movesOn }: MetLimit): Settlement {
  if (movesOn)
    return release(claim, end, `${error}; another agent takes over`, { resumes: false, counts: false });
  const text = `${error}; the task goes on by itself when the provider does`;
  return release(claim, end, text, { runAt: until, waitReason: 'rate_limit', resumes: true, counts: false });
}

/** The same settlement, for an agent that does not know the attempt's session. */
export function withoutSession(settlement: Settlement): Settlement {
  return settlement.kind === 'finish'
    ? { kind: 'finish', outcome: { ...settlement.outcome, sessionId: null } }
    : { kind: 'release', release: { ...settlement.release, sessionId: null } };
}

function finish(claim: Claim, end: AttemptEnd, state: FinalState, error: string | null): Settlement {
  const { result, costUsd, usage } = end.verdict;
  const outcome: Outcome = {
    state,
    result,
    error,
    exitCode: end.exitCode,
    signal: end.signal,
    sessionId: sessionOf(claim, end),
    costUsd,
    usage,
    outputBytes: end.outputBytes,
    charge: null,
  };
  return { kind: 'finish', outcome };
}

/** The newest session known: an attempt may be cut off before it has named its own. */
function sessionOf(claim: Claim, end: AttemptEnd): string | null {
  return end.verdict.sessionId ?? claim.task.sessionId;
}

/** The session that the attempt was to go on in. */
function sessionTried({ task, past }: Claim): string | null {
  return task.sessionId ?? past?.sessionId ?? null;
}

/** Back to the queue; unless said otherwise at once, counted, and without using up a retry. */
function release(
  claim: Claim,
  end: AttemptEnd,
  error: string,
  how: {
    resumes: boolean;
    runAt?: number | null;
    waitReason?: WaitReason | null;
    usesRetry?: boolean;
    counts?: boolean;
    goneSession?: string | null;
  },
): Settlement & { kind: 'release' } {
  return {
    kind: 'release',
    release: {
      runAt: how.runAt ?? null,
      waitReason: how.waitReason ?? null,
      error,
      sessionId: how.resumes ? sessionOf(claim, end) : null,
      outputBytes: end.outputBytes,
      usesRetry: how.usesRetry ?? false,
      countsAsAttempt: how.counts ?? true,
      ...NOTHING_MORE,
      goneSession: how.goneSession ?? null,
    },
  };
}

function timeoutText(claim: Claim, end: AttemptEnd): string {
  const limit = claim.task.timeoutMs ?? end.durationMs;
  const text = limit >= 60_000 ? `${Math.round(limit / 6_000) / 10} min` : `${limit / 1000} s`;
  return `Timed out after ${text}; give it more with --timeout`;
}

/** Cut off by the daemon's stop. It counts like a crash: an agent that stops its own daemon must not do so for ever. */
export function cutOff(claim: Claim, end: AttemptEnd): Settlement {
  const { attempt, maxAttempts } = claim.task;
  const error = 'The daemon stopped before the agent had finished';
  if (attempt >= maxAttempts)
    return finish(claim, end, 'failed', `${error} (attempt ${attempt} of ${maxAttempts})`);
  return release(claim, end, error, { resumes: true });
}

/** The agent says it is done, and what judges its work says no: it may mend it while there are rounds and attempts left. */
export function notAccepted(claim: Claim, end: AttemptEnd, feedback: Feedback, rounds: number): Settlement {
  const error = verificationError(feedback);
  if (feedback.round > rounds || claim.task.attempt >= claim.task.maxAttempts) {
    return finish(claim, end, 'failed', error);
  }
  const back = release(claim, end, error, { resumes: true });
  return { kind: 'release', release: { ...back.release, feedback: storedFeedback(feedback) } };
}

/** What was to go back to the queue, and is not wanted any more. */
export function asCancelled({ release: { charge, ...back } }: Settlement & { kind: 'release' }): Settlement {
  return withCharge(bareEnd('cancelled', 'Cancelled', back), charge);
}

/** Back to the queue before the agent has done anything: what was known of the task's session stays. */
export function untouched(claim: Claim, error: string | null): Release {
  return {
    runAt: null,
    waitReason: null,
    error,
    sessionId: claim.task.sessionId,
    outputBytes: 0,
    usesRetry: false,
    countsAsAttempt: false,
    ...NOTHING_MORE,
  };
}

/** After a crash or reboot: another attempt while there is one left, else the end, so that a task cannot crash for ever. */
export function settleInterrupted(claim: Claim, cancelRequested: boolean): Settlement {
  const { attempt, maxAttempts, sessionId, outputBytes } = claim.task;
  if (cancelRequested) return bareEnd('cancelled', 'Cancelled', claim.task);
  if (claim.takeovers >= MAX_TAKEOVERS) return quarantine(claim);
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
      ...NOTHING_MORE,
    },
  };
}

/** The end of a task that `MAX_TAKEOVERS` daemons in a row did not live long with. */
export function quarantine({ task, takeovers }: Claim): Settlement {
  const error =
    `Quarantined: the daemon went down ${takeovers} times in a row with this task in its hands, and never lived for a minute ` +
    `in between. Look for the cause with \`aiwgd logs\`; then \`aiwgd task retry ${task.id}\` starts it anew`;
  return bareEnd('failed', error, task);
}

/** The end of a task of which nothing is known but why. */
export function bareEnd(
  state: FinalState,
  error: string,
  { sessionId, outputBytes }: Pick<Outcome, 'sessionId' | 'outputBytes'>,
): Settlement {
  const nothing = { result: null, exitCode: null, signal: null, costUsd: null, usage: null, charge: null };
  return { kind: 'finish', outcome: { state, error, sessionId, outputBytes, ...nothing } };
}
