import { type Clock, sleep } from '../platform/clock.js';
import { type Dial, Link } from './link.js';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

/**
 * Dials until a connection stands: after 100 ms, then after twice as long each time up to 5 s, always with jitter, so
 * that many clients of a restarted daemon do not come at the same moment. Rejects only when the signal is aborted.
 */
export async function redial(dial: Dial, clock: Clock, signal: AbortSignal): Promise<Link> {
  for (let delay = FIRST_DELAY_MS; ; delay = Math.min(2 * delay, LONGEST_DELAY_MS)) {
    signal.throwIfAborted();
    try {
      return new Link(await dial(signal));
    } catch {
      // Whatever the reason was, it may pass: the daemon may be on its way up.
    }
    await sleep(clock, delay * (0.5 + Math.random() / 2), signal);
  }
}
