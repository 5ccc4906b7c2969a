import type { Clock } from '../../platform/clock.js';
import type { ProcessIdentity } from '../../platform/process-identity.js';
import { AiwgdError } from '../../protocol/errors.js';
import { signalTo, waitUntilGone, wake } from './daemon-process.js';

/** The configured grace where nobody says otherwise. */
export const DEFAULT_GRACE_MS = 15_000;
/** What a stop may take on top of the grace: ending what is left, flushing, closing. */
const STOP_MARGIN_MS = 15_000;
/** A signal that comes before the first one was handled would be merged with it. */
const SECOND_SIGNAL_AFTER_MS = 150;
const KILL_AFTER_MS = 10_000;
const GONE_AFTER_KILL_MS = 5_000;

/** How long a stop may take. */
export interface Patience {
  /** How long running agents may take, where this stop says so itself. */
  graceMs?: number | undefined;
  /** How long they may take otherwise. Asked only when the default has passed. */
  configuredGraceMs?: () => Promise<number>;
  /** Called once a second while it takes longer than a moment. */
  onWait?: () => void;
}

export interface StopOptions extends Patience {
  /** End it at once: a second signal, then SIGKILL. */
  force?: boolean;
  /** Asks the daemon itself to stop; false where it could not be asked, then it gets a signal. */
  request?: () => Promise<boolean>;
}

/** How the daemon went: by itself, or only by SIGKILL; its agents live on then. */
export type StopOutcome = 'stopped' | 'killed';

/**
 * Ends a daemon with its agents and resolves when its process is gone. Throws TIMED_OUT when it is still there after
 * its grace and 15 s more (with `force`: when even SIGKILL did not end it).
 */
export async function stopDaemon(
  daemon: ProcessIdentity,
  clock: Clock,
  options: StopOptions = {},
): Promise<StopOutcome> {
  const { request, force = false, graceMs, onWait } = options;
  wake(daemon);
  const asked = request !== undefined && (await request());
  if (!asked) signalTo(daemon, 'SIGTERM');
  if (force) return forceOut(daemon, clock, options);
  // A signal carries no time: a second one ends the grace.
  if (!asked && graceMs !== undefined) {
    const gone = await waitUntilGone(daemon, Math.max(graceMs, SECOND_SIGNAL_AFTER_MS), clock, onWait);
    if (!gone) signalTo(daemon, 'SIGTERM');
  }
  await waitUntilStopped(daemon, clock, options);
  return 'stopped';
}

/** Waits until a daemon that was told to stop is gone. Throws TIMED_OUT when it still is there 15 s after its grace. */
export async function waitUntilStopped(
  daemon: ProcessIdentity,
  clock: Clock,
  { graceMs, configuredGraceMs, onWait }: Patience,
): Promise<void> {
  const begun = clock.monotonic();
  let limitMs = (graceMs ?? DEFAULT_GRACE_MS) + STOP_MARGIN_MS;
  if (await waitUntilGone(daemon, limitMs, clock, onWait)) return;
  if (graceMs === undefined && configuredGraceMs !== undefined) {
    limitMs = (await configuredGraceMs()) + STOP_MARGIN_MS;
    if (await waitUntilGone(daemon, limitMs - (clock.monotonic() - begun), clock, onWait)) return;
  }
  const { pid } = daemon;
  throw new AiwgdError(
    'TIMED_OUT',
    `The daemon (PID ${pid}) still runs ${Math.round(limitMs / 1_000)} s after it was told to stop. See what holds it with aiwgd logs; end it with aiwgd stop --force.`,
    { data: { pid } },
  );
}

async function forceOut(daemon: ProcessIdentity, clock: Clock, options: StopOptions): Promise<StopOutcome> {
  if (await waitUntilGone(daemon, SECOND_SIGNAL_AFTER_MS, clock)) return 'stopped';
  signalTo(daemon, 'SIGTERM');
  if (await waitUntilGone(daemon, KILL_AFTER_MS, clock, options.onWait)) return 'stopped';
  signalTo(daemon, 'SIGKILL');
  if (await waitUntilGone(daemon, GONE_AFTER_KILL_MS, clock)) return 'killed';
  throw new AiwgdError(
    'TIMED_OUT',
    `The daemon (PID ${daemon.pid}) did not even end by SIGKILL: it hangs in the system, perhaps on a disk that does not answer.`,
    { data: { pid: daemon.pid } },
  );
}
