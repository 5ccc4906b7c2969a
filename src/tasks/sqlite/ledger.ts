import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import type { SpendKey, SpendRow } from '../../protocol/spend.js';
import { CHARGES_KEPT_MS, coversUnknown } from '../charges.js';
import { taskIdOf } from '../task-id.js';
import type { Charge } from '../task-store.js';

/** The attempt that a charge is for. */
export interface ChargedAttempt {
  seq: number;
  attempt: number;
  rule_id: string | null;
}

/** Charges that one step of the pruning takes away, so that nobody else notices. */
const PRUNED_AT_ONCE = 500;

const KEY_COLUMNS: Record<SpendKey, string> = { rule: 'rule_id', agent: 'agent', day: 'NULL', task: 'seq' };

/** What attempts cost, once for each of them. Part of the engine: synchronous, within its transactions. */
export class Ledger {
  readonly #do: ReturnType<typeof prepareLedger>;
  readonly #spend: Record<SpendKey, ReturnType<DatabaseSyncInstance['prepare']>>;

  constructor(db: DatabaseSyncInstance) {
    this.#do = prepareLedger(db);
    this.#spend = {
      rule: db.prepare(sumsBy('rule')),
      agent: db.prepare(sumsBy('agent')),
      day: db.prepare(sumsBy('day')),
      task: db.prepare(sumsBy('task')),
    };
  }

  /** Touches both ends of every index. */
  probe(): void {
    this.newest(0, Number.MAX_SAFE_INTEGER);
    this.#do.oldest.get();
    this.baseline('');
    this.#do.unknown.get('');
    this.#do.known.get('');
  }

  /** False where the attempt has been charged before: nothing is stored then. */
  add({ seq, attempt, rule_id }: ChargedAttempt, charge: Charge, now: number): boolean {
    const { attemptId, agent, costUsd, tokens, countedUsd, sessionId, sessionTotals } = charge;
    if (this.#do.known.get(attemptId) !== undefined) return false;
    if (coversUnknown(charge)) this.#do.cover.run(charge.sessionId);
    this.#do.insert.run(
      attemptId,
      seq,
      attempt,
      agent,
      rule_id,
      now,
      costUsd,
      tokens?.input ?? null,
      tokens?.cachedInput ?? null,
      tokens?.output ?? null,
      countedUsd,
      sessionId,
      sessionTotals === null ? null : JSON.stringify(sessionTotals),
    );
    return true;
  }

  /** The newest totals of a session, as JSON. */
  baseline(sessionId: string | null): string | null {
    if (sessionId === null) return null;
    const row = this.#do.totals.get(sessionId) as { session_totals: string } | undefined;
    return row?.session_totals ?? null;
  }

  /** Sums of the charges from `since` on and before `until`, the most expensive first. */
  sums(by: SpendKey, since: number, until: number, limit: number): SpendRow[] {
    return (this.#spend[by].all(since, until, limit) as SumRow[])
      .filter(({ attempts }) => attempts > 0)
      .map(({ key, input, cached, output, ...sums }) => ({
        ...sums,
        key: typeof key === 'number' ? taskIdOf(key) : key,
        tokens: { input, cachedInput: cached, output },
      }));
  }

  /** When the newest attempt from `since` on and before `until` ended; null where none did. */
  newest(since: number, until: number): number | null {
    const row = this.#do.newest.get(since, until) as { at: number } | undefined;
    return row?.at ?? null;
  }

  /** Takes away some of the charges that are old enough. */
  prune(now: number): void {
    this.#do.prune.run(now - CHARGES_KEPT_MS, PRUNED_AT_ONCE);
  }
}

interface SumRow extends Omit<SpendRow, 'key' | 'tokens'> {
  key: string | number | null;
  input: number;
  cached: number;
  output: number;
}

function sumsBy(by: SpendKey): string {
  return `
    SELECT ${KEY_COLUMNS[by]} AS key, total(cost_usd) AS costUsd, total(counted_usd) AS countedUsd,
      count(*) AS attempts, count(*) - count(cost_usd) AS unknown, coalesce(sum(input_tokens), 0) AS input,
      coalesce(sum(cached_tokens), 0) AS cached, coalesce(sum(output_tokens), 0) AS output
    FROM charges INDEXED BY charges_ended WHERE ended_at >= ? AND ended_at < ?
    ${by === 'day' ? '' : 'GROUP BY 1'} ORDER BY costUsd DESC, countedUsd DESC, key LIMIT ?`;
}

function prepareLedger(db: DatabaseSyncInstance) {
  return {
    known: db.prepare('SELECT 1 FROM charges WHERE attempt_id = ?'),
    insert: db.prepare(`
      INSERT INTO charges (attempt_id, seq, attempt, agent, rule_id, ended_at, cost_usd, input_tokens, cached_tokens,
        output_tokens, counted_usd, session_id, session_totals)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    cover: db.prepare(`
      UPDATE charges INDEXED BY charges_unknown SET counted_usd = 0
      WHERE session_id = ? AND cost_usd IS NULL AND counted_usd > 0`),
    unknown: db.prepare(`
      SELECT id FROM charges INDEXED BY charges_unknown
      WHERE session_id = ? AND cost_usd IS NULL AND counted_usd > 0`),
    totals: db.prepare(`
      SELECT session_totals FROM charges INDEXED BY charges_totals
      WHERE session_id = ? AND session_totals IS NOT NULL ORDER BY id DESC LIMIT 1`),
    newest: db.prepare(`
      SELECT ended_at AS at FROM charges INDEXED BY charges_ended WHERE ended_at >= ? AND ended_at < ?
      ORDER BY ended_at DESC LIMIT 1`),
    oldest: db.prepare('SELECT ended_at FROM charges INDEXED BY charges_ended ORDER BY ended_at LIMIT 1'),
    prune: db.prepare(`
      DELETE FROM charges WHERE id IN (
        SELECT id FROM charges INDEXED BY charges_ended WHERE ended_at < ? ORDER BY ended_at LIMIT ?)`),
  };
}
