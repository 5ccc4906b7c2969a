import { messageOf } from '../protocol/errors.js';
import type { AttemptEnd } from './attempt.js';
import { failedVerdict } from './failed-verdict.js';
import { LaunchRefused } from './launcher.js';

/** An attempt that never began, as one that ended. */
export function refusedEnd(error: unknown, now: number): AttemptEnd {
  const failureClass = error instanceof LaunchRefused ? error.failureClass : 'bad_arguments';
  return {
    verb: null,
    verdict: failedVerdict(messageOf(error), failureClass),
    exitCode: null,
    signal: null,
    exitKnown: true,
    launched: true,
    outputBytes: 0,
    stderrBytes: 0,
    startedAt: now,
    durationMs: 0,
  };
}
