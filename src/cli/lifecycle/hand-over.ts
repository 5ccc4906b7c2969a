import type { Clock } from '../../platform/clock.js';
import type { ProcessIdentity } from '../../platform/process-identity.js';
import { AiwgdError } from '../../protocol/errors.js';
import { signalTo, waitUntilGone, wake } from './daemon-process.js';

/** No agent is waited for: this is for storing what is on its way, and for closing. */
const HAND_OVER_LIMIT_MS = 30_000;

/**
 * Ends a daemon without its agents, which are left to the next one, and resolves when its process is gone. `request`
 * asks it over its socket and answers false where it could not; then it gets the signal that means the same. Throws
 * TIMED_OUT when it is still there after 30 s.
 */
export async function handOver(
  daemon: ProcessIdentity,
  clock: Clock,
  request: () => Promise<boolean>,
): Promise<void> {
  wake(daemon);
  if (!(await request())) signalTo(daemon, 'SIGUSR2');
  if (await waitUntilGone(daemon, HAND_OVER_LIMIT_MS, clock)) return;
  throw new AiwgdError(
    'TIMED_OUT',
    `The daemon (PID ${daemon.pid}) still runs ${HAND_OVER_LIMIT_MS / 1_000} s after it was told to make room for the next one. See what holds it with aiwgd logs. Its agents live on without it: kill -9 ${daemon.pid}, then aiwgd start.`,
    { data: { pid: daemon.pid } },
  );
}
