import type { SpendKey, SpendRow } from '../protocol/spend.js';
import { CHARGES_KEPT_MS, coversUnknown, localDay, SpendSums, storedCharge } from '../tasks/charges.js';
import { requireWholeNumber } from '../tasks/list-query.js';
import type { Charge, SessionTotals, SpendQuery } from '../tasks/task-store.js';
import type { Entry } from './memory-entry.js';

interface StoredCharge extends Charge {
  taskId: string;
  ruleId: string | null;
  endedAt: number;
}

/** What attempts cost, as a `MemoryTaskStore` keeps it. */
export class MemoryLedger {
  /** By the id of the attempt, in the order of their ends. */
  readonly #charges = new Map<string, StoredCharge>();

  /** Adds the cost to the task; not where the attempt has been charged before. */
  charge({ task }: Entry, given: Charge | null, now: number): void {
    if (given === null) return;
    const charge = storedCharge(given);
    if (this.#charges.has(charge.attemptId)) return;
    if (coversUnknown(charge)) {
      for (const earlier of this.#charges.values())
        if (earlier.sessionId === charge.sessionId && earlier.costUsd === null) earlier.countedUsd = 0;
    }
    this.#charges.set(charge.attemptId, { ...charge, taskId: task.id, ruleId: task.ruleId, endedAt: now });
    if (charge.costUsd !== null) task.costUsd = (task.costUsd ?? 0) + charge.costUsd;
  }

  /** The newest totals of a session. */
  baseline(sessionId: string | null): SessionTotals | null {
    const totals = [...this.#charges.values()].flatMap((charge) =>
      sessionId !== null && charge.sessionId === sessionId && charge.sessionTotals !== null
        ? [charge.sessionTotals]
        : [],
    );
    return structuredClone(totals.at(-1) ?? null);
  }

  spend({ since, until = Number.POSITIVE_INFINITY, by, limit }: SpendQuery): SpendRow[] {
    requireWholeNumber('limit', limit, 1, 1000);
    const sums = new SpendSums();
    for (const charge of this.#charges.values()) {
      if (charge.endedAt < since || charge.endedAt >= until) continue;
      sums.add({
        key: keyOf(charge, by),
        costUsd: charge.costUsd ?? 0,
        countedUsd: charge.countedUsd,
        attempts: 1,
        unknown: charge.costUsd === null ? 1 : 0,
        tokens: charge.tokens ?? { input: 0, cachedInput: 0, output: 0 },
      });
    }
    return sums.rows(by, limit);
  }

  prune(now: number): void {
    for (const [id, { endedAt }] of this.#charges)
      if (endedAt < now - CHARGES_KEPT_MS) this.#charges.delete(id);
  }
}

function keyOf({ taskId, ruleId, agent, endedAt }: StoredCharge, by: SpendKey): string | null {
  return { rule: ruleId, agent, task: taskId, day: localDay(endedAt) }[by];
}
