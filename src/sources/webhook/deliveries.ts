import type { StateDatabase } from '../../database/state-database.js';
import type { Clock } from '../../platform/clock.js';

/** How long a delivery is known, and how many are at most. */
const KNOWN_FOR_MS = 24 * 60 * 60 * 1_000;
const MAX_KNOWN = 10_000;

/** The deliveries that were taken, so that each is taken once: also after a restart. */
export class Deliveries {
  readonly #db: StateDatabase;
  readonly #clock: Clock;

  constructor(db: StateDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    // AUTOINCREMENT: numbers grow even when all rows are gone, and the oldest can be told by them.
    db.exec(`CREATE TABLE IF NOT EXISTS webhook_deliveries (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      path TEXT NOT NULL,
      id TEXT NOT NULL,
      at INTEGER NOT NULL,
      UNIQUE (path, id)
    )`);
    db.exec('CREATE INDEX IF NOT EXISTS webhook_deliveries_at ON webhook_deliveries (at)');
  }

  /** Within a transaction: notes a delivery. Answers false for one that is known already. */
  note(path: string, id: string): boolean {
    const now = this.#clock.now();
    this.#db.run('DELETE FROM webhook_deliveries WHERE at < ?', now - KNOWN_FOR_MS);
    // Asked first: an INSERT that meets a known one would use up a number, and repetitions would push others out.
    const known = this.#db.get('SELECT 1 FROM webhook_deliveries WHERE path = ? AND id = ?', path, id);
    if (known !== undefined) return false;
    const { id: number } = this.#db.run(
      'INSERT INTO webhook_deliveries (path, id, at) VALUES (?, ?, ?)',
      path,
      id,
      now,
    );
    this.#db.run('DELETE FROM webhook_deliveries WHERE number <= ?', number - MAX_KNOWN);
    return true;
  }
}
