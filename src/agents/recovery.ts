import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { Claim, Heartbeat, TaskStore } from '../tasks/task-store.js';
import { LEASE_MS } from './lease-keeper.js';
import { reapStrays } from './process-tree.js';
import { settleInterrupted } from './retry-policy.js';
import type { SettlementWriter } from './settlement-writer.js';
import type { TaskEvents } from './task-events.js';

const BATCH = 100;

/** Takes over every task that an earlier daemon left running. */
export async function takeOver(store: TaskStore, owner: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (;;) {
    const batch = await store.reap({ owner, leaseMs: LEASE_MS, limit: BATCH, othersAreDead: true });
    claims.push(...batch);
    if (batch.length < BATCH) return claims;
  }
}

/** Ends what the interrupted attempts left running, then decides what becomes of their tasks. */
export async function settleTakenOver(
  claims: readonly Claim[],
  deps: {
    store: TaskStore;
    writer: SettlementWriter;
    events: TaskEvents;
    clock: Clock;
    log: Log;
    projectRoot: string;
    killGraceMs: number;
    strays: 'known' | 'all';
  },
): Promise<void> {
  const ids = new Set(claims.map((claim) => claim.attemptId));
  const left = await reapStrays({
    projectRoot: deps.projectRoot,
    isOurs: (attemptId) => deps.strays === 'all' || ids.has(attemptId),
    graceMs: deps.killGraceMs,
    clock: deps.clock,
  });
  if (left.length > 0) deps.log.error({ pids: left }, 'Processes of interrupted attempts cannot be ended');
  if (claims.length === 0) return;
  const beats = await cancelMarks(claims, deps);
  for (const [index, claim] of claims.entries()) {
    const settlement = settleInterrupted(claim, beats[index]?.cancelRequested ?? false);
    if (!(await deps.writer.write(claim.token, settlement))) continue;
    if (settlement.kind === 'finish') deps.events.ended(claim.task, settlement.outcome, null);
    else deps.events.queued(claim.task);
  }
}

/** Which of the tasks somebody wants cancelled; none where the store does not answer now. */
async function cancelMarks(
  claims: readonly Claim[],
  { store, log }: { store: TaskStore; log: Log },
): Promise<Heartbeat[]> {
  try {
    return await store.heartbeat(
      claims.map(({ token }) => ({ token })),
      LEASE_MS,
    );
  } catch (error) {
    // The settlements that follow are tried until they are stored, and the store itself heeds a cancel in most of them.
    log.warn({ error: messageOf(error) }, 'Interrupted tasks cannot be asked for');
    return [];
  }
}
