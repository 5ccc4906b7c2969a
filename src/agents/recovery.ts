import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { Claim, TaskStore } from '../tasks/task-store.js';
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
  },
): Promise<void> {
  const ids = new Set(claims.map((claim) => claim.attemptId));
  const left = await reapStrays({
    projectRoot: deps.projectRoot,
    isOurs: (attemptId) => ids.has(attemptId),
    graceMs: deps.killGraceMs,
    clock: deps.clock,
  });
  if (left.length > 0) deps.log.error({ pids: left }, 'Processes of interrupted attempts cannot be ended');
  const beats = await deps.store.heartbeat(
    claims.map(({ token }) => ({ token })),
    LEASE_MS,
  );
  for (const [index, claim] of claims.entries()) {
    const settlement = settleInterrupted(claim, beats[index]?.cancelRequested ?? false);
    if (!(await deps.writer.write(claim.token, settlement))) continue;
    if (settlement.kind === 'finish') deps.events.ended(claim.task, settlement.outcome, null);
    else deps.events.queued(claim.task);
  }
}
