import type { StateDatabase } from '../database/state-database.js';
import { isStorageFault } from '../database/storage-error.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { AiwgEvent } from '../protocol/event.js';
import { FINAL_STATES, type FinalState } from '../protocol/task.js';

/** Nothing lies this long between the end of a task in the store and the event that tells it. */
const SETTLED_MS = 60_000;
const LOOK_MS = 60_000;
const DAY_MS = 86_400_000;
const SOURCE = 'supervisor';
const TYPES = FINAL_STATES.map(typeOf);

const TABLES = `
CREATE TABLE IF NOT EXISTS task_ends (task_id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_ends_since (type TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
`;

export interface TaskEndsOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  /** Whether events wait that could not be taken in yet. */
  behind: () => boolean;
}

/**
 * Which ends of tasks the rules know. An end is in the store, another database, before it is told; a daemon that is killed
 * in between tells it to nobody. The next one asks the store which tasks have ended, and here which of them the rules
 * have not taken in. Only ends that a rule listens to are noted, for some two minutes.
 */
export class TaskEnds {
  readonly #options: TaskEndsOptions;
  /** From when on every end of this type is noted here once it is taken in; one before that counts as known. */
  #since: ReadonlyMap<string, number>;
  /** Before this, all ends were those of an earlier daemon. */
  readonly #openedAt: number;
  #wanted: readonly string[] = [];
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: TaskEndsOptions) {
    const { db, clock } = options;
    this.#options = options;
    this.#openedAt = clock.now();
    db.exec(TABLES);
    const rows = db.all('SELECT type, since FROM task_ends_since');
    this.#since = new Map(rows.map(({ type, since }) => [String(type), Number(since)]));
  }

  /** From now on there are rules for the ends that `hears` answers yes to. It may go by type and source alone. */
  listen(hears: (event: AiwgEvent) => boolean): void {
    const sample = { id: '', source: SOURCE, timestamp: '', payload: {} };
    this.#wanted = TYPES.filter((type) => hears({ ...sample, type }));
    const next = this.#sinceBy(Number.NEGATIVE_INFINITY);
    const changes = ([type, since]: [string, number]): boolean => this.#since.get(type) !== since;
    if (next.size !== this.#since.size || [...next].some(changes)) this.#write(next);
  }

  /** Follows the ends of tasks; answers whether the event tells one that is to be noted. */
  follow({ type, source }: AiwgEvent): boolean {
    if (source !== SOURCE || this.#wanted.length === 0 || !TYPES.includes(type)) return false;
    this.#lookLater();
    return this.#since.has(type);
  }

  /** Notes that the rules have taken the end in; in the transaction that does so. */
  note({ payload, timestamp }: AiwgEvent): void {
    this.#options.db.run(
      'INSERT INTO task_ends VALUES (?1, ?2) ON CONFLICT (task_id) DO UPDATE SET at = ?2',
      String(payload['taskId']),
      Date.parse(timestamp),
    );
  }

  /** Ends before this time are known; undefined where no rule listens to any. */
  get knownUntil(): number | undefined {
    return this.#since.size === 0 ? undefined : Math.min(...this.#since.values());
  }

  /**
   * Whether an earlier daemon stored this end, there were rules for it then, and they have not taken it in. Ends of this
   * daemon's time are told in any case; so is none that comes from the future, by a clock that was wrong.
   */
  isMissing({ id, state, at }: { id: string; state: FinalState; at: number }): boolean {
    const { db } = this.#options;
    const since = this.#since.get(typeOf(state));
    if (since === undefined || at < since || at >= this.#openedAt) return false;
    // A task that was queued anew has a later end than the one that is noted.
    return db.get('SELECT 1 FROM task_ends WHERE task_id = ? AND at >= ?', id, at) === undefined;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (!this.#closed) this.#timer ??= this.#options.clock.setTimer(LOOK_MS, () => this.#look());
  }

  #look(): void {
    this.#timer = undefined;
    // What waits is not noted yet, and may be old.
    if (this.#options.behind()) this.#lookLater();
    else this.#write(this.#sinceBy(this.#options.clock.now() - SETTLED_MS));
  }

  /** What ended before `settled` is known. */
  #sinceBy(settled: number): Map<string, number> {
    const now = this.#options.clock.now();
    return new Map(this.#wanted.map((type) => [type, later(this.#since.get(type), settled, now)]));
  }

  /** Forgets what the store will not be asked for again, too. */
  #write(since: ReadonlyMap<string, number>): void {
    const { db, clock, log } = this.#options;
    try {
      db.transaction(() => {
        db.run('DELETE FROM task_ends_since');
        for (const [type, from] of since) db.run('INSERT INTO task_ends_since VALUES (?, ?)', type, from);
        db.run('DELETE FROM task_ends WHERE at < ?', Math.min(...since.values(), clock.now()));
      });
      this.#since = since;
    } catch (error) {
      if (!isStorageFault(error)) throw error;
      log.warn({ reason: messageOf(error) }, 'Which ends of tasks the rules know cannot be noted now');
      this.#lookLater();
    }
  }
}

/** Never back, also where the clock was set back, unless the time before is that of a clock that was plainly wrong. */
function later(since: number | undefined, settled: number, now: number): number {
  return since === undefined || since > now + DAY_MS ? now : Math.max(since, settled);
}

function typeOf(state: FinalState): string {
  return `task:${state}`;
}
