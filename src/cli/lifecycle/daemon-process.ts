import { type Clock, sleep } from '../../platform/clock.js';
import { isAlive, type ProcessIdentity } from '../../platform/process-identity.js';
import { AiwgdError } from '../../protocol/errors.js';

const SHORTEST_POLL_MS = 2;
const LONGEST_POLL_MS = 50;
const PROGRESS_AFTER_MS = 1_000;

/** Signals exactly this process, never another that got its pid; nothing happens where it has gone. */
export function signalTo(daemon: ProcessIdentity, signal: NodeJS.Signals): void {
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

/** Lets a daemon that was frozen (SIGSTOP, Ctrl-Z) hear what it is told. */
export function wake(daemon: ProcessIdentity): void {
  signalTo(daemon, 'SIGCONT');
}

/**
 * Waits until the process is gone, at most `limitMs`; false where it is still there. `onWait` is called once a second
 * while it takes longer than a moment.
 */
export async function waitUntilGone(
  daemon: ProcessIdentity,
  limitMs: number,
  clock: Clock,
  onWait?: () => void,
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
