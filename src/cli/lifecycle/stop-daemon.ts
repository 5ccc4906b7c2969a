import type { Clock } from '../../platform/clock.js';
import { sleep } from '../../platform/clock.js';
import { isAlive, type ProcessIdentity } from '../../platform/process-identity.js';
import { AiwgdError } from '../../protocol/errors.js';

/** The configured grace where nobody says otherwise. */
export const DEFAULT_GRACE_MS = 15_000;
/** What a stop may take on top of the grace: ending what is left, flushing, closing. */
const STOP_MARGIN_MS = 15_000;
/** A signal that comes before the first one was handled would be merged with it. */
const SECOND_SIGNAL_AFTER_MS = 150;
const KILL_AFTER_MS = 10_000;
const GONE_AFTER_KILL_MS = 5_000;
const SHORTEST_POLL_MS = 2;
const LONGEST_POLL_MS = 50;
const PROGRESS_AFTER_MS = 1_000;

export interface StopOptions {
  /** End it at once: a second signal, then SIGKILL. */
  force?: boolean;
  /** Asks the daemon itself to stop; false where it could not be asked, then it gets a signal. */
  request?: () => Promise<boolean>;
  /** How long running agents may take. Asked only when the default has passed. */
  graceMs?: () => Promise<number>;
  /** Called once a second while it takes longer than a moment. */
  onWait?: () => void;
}

/** How the daemon went: by itself, or only by SIGKILL. */
export type StopOutcome = 'stopped' | 'killed';

/** Signals exactly this process, never another that got its pid. */
function signalTo(daemon: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(daemon)) return;
  try {
    process.kill(daemon.pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') return;
    throw new AiwgdError('INTERNAL_ERROR', `Cannot signal the daemon (PID ${daemon.pid}): ${code}`, {
      cause: error,
    });
  }
}

/** Waits until the process is gone, at most `limitMs`; false where it is still there. */
async function waitUntilGone(
  daemon: ProcessIdentity,
  limitMs: number,
  clock: Clock,
  onWait: (() => void) | undefined,
): Promise<boolean> {
  const begun = clock.monotonic();
  let pause = SHORTEST_POLL_MS;
  let progressAt = PROGRESS_AFTER_MS;
  while (isAlive(daemon)) {
    const waited = clock.monotonic() - begun;
    if (waited >= limitMs) return false;
    if (waited >= progressAt) {
      onWait?.();
      progressAt += PROGRESS_AFTER_MS;
    }
    await sleep(clock, Math.min(pause, limitMs - waited));
    pause = Math.min(LONGEST_POLL_MS, pause * 1.25);
  }
  return true;
}

/**
 * Ends a daemon and resolves when its process is gone. Throws TIMED_OUT when it is still there after its grace and
 * 15 s more (with `force`: when even SIGKILL did not end it).
 */
export async function stopDaemon(
  daemon: ProcessIdentity,
  clock: Clock,
  options: StopOptions = {},
): Promise<StopOutcome> {
  const asked = options.request !== undefined && (await options.request());
  if (!asked) signalTo(daemon, 'SIGTERM');
  if (options.force) return forceOut(daemon, clock, options);
  const begun = clock.monotonic();
  if (await waitUntilGone(daemon, DEFAULT_GRACE_MS + STOP_MARGIN_MS, clock, options.onWait)) return 'stopped';
  const graceMs = (await options.graceMs?.()) ?? DEFAULT_GRACE_MS;
  const left = graceMs + STOP_MARGIN_MS - (clock.monotonic() - begun);
  if (await waitUntilGone(daemon, left, clock, options.onWait)) return 'stopped';
  throw new AiwgdError(
    'TIMED_OUT',
    `The daemon (PID ${daemon.pid}) still runs ${Math.round((graceMs + STOP_MARGIN_MS) / 1_000)} s after it was told to stop. See what holds it with aiwgd logs; end it with aiwgd stop --force.`,
    { data: { pid: daemon.pid } },
  );
}

async function forceOut(daemon: ProcessIdentity, clock: Clock, options: StopOptions): Promise<StopOutcome> {
  if (await waitUntilGone(daemon, SECOND_SIGNAL_AFTER_MS, clock, undefined)) return 'stopped';
  signalTo(daemon, 'SIGTERM');
  if (await waitUntilGone(daemon, KILL_AFTER_MS, clock, options.onWait)) return 'stopped';
  signalTo(daemon, 'SIGKILL');
  if (await waitUntilGone(daemon, GONE_AFTER_KILL_MS, clock, undefined)) return 'killed';
  throw new AiwgdError(
    'TIMED_OUT',
    `The daemon (PID ${daemon.pid}) did not even end by SIGKILL: it hangs in the system, perhaps on a disk that does not answer.`,
    { data: { pid: daemon.pid } },
  );
}
