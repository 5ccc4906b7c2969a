import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { Claim, TaskStore } from '../tasks/task-store.js';
import { LEASE_MS } from './lease-keeper.js';
import { reapStrays } from './process-tree.js';

const BATCH = 100;

/** A task that an earlier daemon left running. */
export interface TakenOver {
  claim: Claim;
  /** Somebody wants it cancelled, and may wait for that. */
  cancelRequested: boolean;
}

/** Takes over every task that an earlier daemon left running. */
export async function takeOver(store: TaskStore, owner: string, log: Log): Promise<TakenOver[]> {
  const claims: Claim[] = [];
  for (;;) {
    const batch = await store.reap({ owner, leaseMs: LEASE_MS, limit: BATCH, othersAreDead: true });
    claims.push(...batch);
    if (batch.length < BATCH) break;
  }
  if (claims.length === 0) return [];
  const cancelled = await cancelMarks(claims, store, log);
  return claims.map((claim) => ({ claim, cancelRequested: cancelled.has(claim.token) }));
}

/** Tokens of the tasks that somebody wants cancelled; none where the store does not answer now. */
async function cancelMarks(claims: readonly Claim[], store: TaskStore, log: Log): Promise<Set<string>> {
  try {
    const beats = await store.heartbeat(
      claims.map(({ token }) => ({ token })),
      LEASE_MS,
    );
    return new Set(beats.filter((beat) => beat.cancelRequested).map((beat) => beat.token));
  } catch (error) {
    // The next heartbeat tells it again.
    log.warn({ error: messageOf(error) }, 'Interrupted tasks cannot be asked for');
    return new Set();
  }
}

/** Ends every agent of the project that is not followed: the store was begun anew, and its task may be in it again. */
export async function endStrays(
  followed: ReadonlySet<string>,
  context: { clock: Clock; log: Log; projectRoot: string; killGraceMs: number },
): Promise<void> {
  const left = await reapStrays({
    projectRoot: context.projectRoot,
    isOurs: (attemptId) => !followed.has(attemptId),
    graceMs: context.killGraceMs,
    clock: context.clock,
  });
  if (left.length > 0) context.log.error({ pids: left }, 'Processes of earlier attempts cannot be ended');
}
