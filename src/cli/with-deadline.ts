import type { Clock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';

/** Runs `work` with a signal that is aborted with TIMED_OUT after `ms`. */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = clock.setTimer(ms, () =>
    controller.abort(
      new AiwgdError(
        'TIMED_OUT',
        `The daemon did not answer in ${ms / 1_000} s. Look at: aiwgd status; aiwgd logs`,
      ),
    ),
  );
  try {
    return await work(controller.signal);
  } finally {
    timer.cancel();
  }
}
