import { findRunningDaemon } from '../../ipc/running-daemon.js';
import type { Clock, Timer } from '../../platform/clock.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';

const LOOK_EVERY_MS = 2_000;
/** A restart takes moments; a daemon that is away for longer does not come back by itself. */
const AWAY_LIMIT_MS = 60_000;

/**
 * Runs `work`, which outlives restarts of the daemon, and aborts its signal with DAEMON_NOT_RUNNING when no daemon has
 * been alive for a minute.
 */
export async function whileDaemonLives<T>(
  paths: ProjectPaths,
  clock: Clock,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let seen = clock.monotonic();
  let timer: Timer;
  const look = (): void => {
    const now = clock.monotonic();
    if (findRunningDaemon(paths) !== undefined) seen = now;
    if (now - seen < AWAY_LIMIT_MS) {
      timer = clock.setTimer(LOOK_EVERY_MS, look);
      return;
    }
    const message = 'The daemon has been away for a minute. The task is kept: aiwgd start goes on with it.';
    controller.abort(new AiwgdError('DAEMON_NOT_RUNNING', message));
  };
  timer = clock.setTimer(LOOK_EVERY_MS, look);
  try {
    return await work(controller.signal);
  } finally {
    timer.cancel();
  }
}
