import type { Clock } from '../platform/clock.js';

/** Runs `work` with a signal that is aborted after `ms`. */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = clock.setTimer(ms, () => controller.abort());
  try {
    return await work(controller.signal);
  } finally {
    timer.cancel();
  }
}
