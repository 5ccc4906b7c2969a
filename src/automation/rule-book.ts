import type { StateDatabase } from '../database/state-database.js';

const HOUR_MS = 3_600_000;
/** Firings this close together are noted as one entry, so that a busy rule has little to write. */
const GRAIN_MS = 10_000;

/** What a rule remembers, over restarts and reloads. Times are wall times in ms since 1970. */
export interface RuleMemory {
  /** Switched off by hand. */
  disabled: boolean;
  /** It has paused itself. */
  paused: boolean;
  firedCount: number;
  lastFiredAt: number | null;
  lastEndedAt: number | null;
  /** When it fired within the last hour, and how often. */
  fires: { at: number; times: number }[];
  /** When each of its throttles last let something through. */
  throttles: Record<string, number>;
}

const TABLE = `
CREATE TABLE IF NOT EXISTS rule_memory (rule_id TEXT PRIMARY KEY, memory TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS automation_switch (name TEXT PRIMARY KEY, disabled INTEGER NOT NULL) WITHOUT ROWID;
`;

/** The memory of all rules. Rules that the configuration has no more are remembered too: they may come back. */
export class RuleBook {
  readonly #db: StateDatabase;
  readonly #memories = new Map<string, RuleMemory>();
  #allDisabled: boolean;

  constructor(db: StateDatabase) {
    this.#db = db;
    db.exec(TABLE);
    for (const row of db.all('SELECT rule_id, memory FROM rule_memory')) {
      this.#memories.set(String(row['rule_id']), JSON.parse(String(row['memory'])) as RuleMemory);
    }
    this.#allDisabled =
      db.get("SELECT disabled FROM automation_switch WHERE name = 'all'")?.['disabled'] === 1;
  }

  get allDisabled(): boolean {
    return this.#allDisabled;
  }

  of(ruleId: string): RuleMemory {
    return this.#memories.get(ruleId) ?? BLANK;
  }

  /** Changes what a rule remembers; a transaction that is rolled back takes it back. */
  change(ruleId: string, change: Partial<RuleMemory>): void {
    const before = this.of(ruleId);
    const memory = { ...before, ...change };
    this.#db.run(
      'INSERT INTO rule_memory VALUES (?1, ?2) ON CONFLICT (rule_id) DO UPDATE SET memory = ?2',
      ruleId,
      JSON.stringify(memory),
    );
    this.#memories.set(ruleId, memory);
    this.#db.onRollback(() => this.#memories.set(ruleId, before));
  }

  disableAll(disabled: boolean): void {
    this.#db.run(
      "INSERT INTO automation_switch VALUES ('all', ?1) ON CONFLICT (name) DO UPDATE SET disabled = ?1",
      Number(disabled),
    );
    this.#db.afterCommit(() => {
      this.#allDisabled = disabled;
    });
  }

  /** How often it fired within the hour before `now`, give or take some seconds. */
  recentFires(ruleId: string, now: number): number {
    return recent(this.of(ruleId).fires, now).reduce((sum, { times }) => sum + times, 0);
  }

  /** Notes that the rule fires now. */
  fired(ruleId: string, now: number, throttleKeys: readonly string[]): void {
    const memory = this.of(ruleId);
    this.change(ruleId, {
      firedCount: memory.firedCount + 1,
      lastFiredAt: now,
      fires: withOneMore(recent(memory.fires, now), now),
      throttles: { ...memory.throttles, ...Object.fromEntries(throttleKeys.map((key) => [key, now])) },
    });
  }
}

/** A time that lies ahead by more than an hour stems from a wrong clock. */
function recent(fires: RuleMemory['fires'], now: number): RuleMemory['fires'] {
  return fires.filter(({ at }) => Math.abs(now - at) < HOUR_MS);
}

function withOneMore(fires: RuleMemory['fires'], now: number): RuleMemory['fires'] {
  const last = fires.at(-1);
  if (last === undefined || Math.abs(now - last.at) >= GRAIN_MS) return [...fires, { at: now, times: 1 }];
  return [...fires.slice(0, -1), { at: last.at, times: last.times + 1 }];
}

const BLANK: RuleMemory = {
  disabled: false,
  paused: false,
  firedCount: 0,
  lastFiredAt: null,
  lastEndedAt: null,
  fires: [],
  throttles: {},
};
