import type { Row, StateDatabase } from '../../database/state-database.js';

/** What is kept of a schedule across restarts. Times are in milliseconds since 1970. */
export interface SlotRecord {
  id: string;
  cron: string;
  timezone: string;
  /** When this id was first in the configuration. */
  firstSeen: number;
  /** The newest slot that fired. */
  lastSlot: number | null;
  /** Slots up to here never fire again. Null while the schedule is disabled: it then begins anew from when it is enabled. */
  settled: number | null;
}

/** The table `cron_slots`. Every method throws what the database throws. */
export class SlotTable {
  readonly #db: StateDatabase;

  constructor(db: StateDatabase) {
    this.#db = db;
    db.exec(`CREATE TABLE IF NOT EXISTS cron_slots (
      id TEXT PRIMARY KEY, cron TEXT NOT NULL, timezone TEXT NOT NULL, first_seen INTEGER NOT NULL,
      last_slot INTEGER, settled INTEGER) WITHOUT ROWID`);
  }

  all(): SlotRecord[] {
    return this.#db.all('SELECT * FROM cron_slots').map(recordOf);
  }

  put({ id, cron, timezone, firstSeen, lastSlot, settled }: SlotRecord): void {
    this.#db.run(
      'INSERT OR REPLACE INTO cron_slots (id, cron, timezone, first_seen, last_slot, settled) VALUES (?, ?, ?, ?, ?, ?)',
      id,
      cron,
      timezone,
      firstSeen,
      lastSlot,
      settled,
    );
  }

  remove(id: string): void {
    this.#db.run('DELETE FROM cron_slots WHERE id = ?', id);
  }
}

function recordOf(row: Row): SlotRecord {
  return {
    id: String(row['id']),
    cron: String(row['cron']),
    timezone: String(row['timezone']),
    firstSeen: Number(row['first_seen']),
    lastSlot: numberOrNull(row['last_slot']),
    settled: numberOrNull(row['settled']),
  };
}

function numberOrNull(value: Row[string] | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
