import type { StateDatabase } from '../database/state-database.js';
import type { Clock } from '../platform/clock.js';
import type { AiwgEvent } from '../protocol/event.js';

/**
 * When a file was written is known from the file; that one was removed is noticed a little later, when the task that did
 * it may have just ended.
 */
const REMOVAL_SLACK_MS = 50;
/** The kernel stamps files by a clock that lags behind by so much. */
const COARSE_CLOCK_MS = 10;
const DAY_MS = 86_400_000;
/** Ancestors are remembered for a week, and at most so many; activities for a day after their end. */
const MOST_KNOWN = 50_000;
const PRUNE_EVERY = 1_000;

const TABLES = `
CREATE TABLE IF NOT EXISTS lineage (id TEXT PRIMARY KEY, rules TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rule_activity (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id TEXT NOT NULL,
  rules TEXT NOT NULL,
  began INTEGER NOT NULL,
  ended INTEGER
);
`;

interface Activity {
  seq: number;
  taskId: string;
  rules: readonly string[];
  began: number;
  /** Undefined while it goes on. */
  ended: number | undefined;
}

/** By which rules something came about, and by way of what. */
export interface Ancestry {
  rules: readonly string[];
  /** In words: `task-0007`. */
  via: string;
}

/**
 * Stands among the rules that something descends from where somebody outside set it off: through a webhook, or a message.
 * No rule can have this name.
 */
export const OUTSIDE = '(outside)';
const OUTSIDE_SOURCES: ReadonlySet<string> = new Set(['webhook', 'messaging']);

const NONE: Ancestry = { rules: [], via: '' };
const ENDS = new Set(['task:completed', 'task:failed', 'task:timeout', 'task:cancelled', 'task:retrying']);

/**
 * Who brought about what: from a rule to its tasks, from a task to the events it causes and the files that change while
 * it works, from there to other rules and their tasks. A rule that finds itself among the ancestors of an event is
 * not fired by it, so that chains of rules come to rest.
 */
export class Lineage {
  readonly #db: StateDatabase;
  readonly #clock: Clock;
  readonly #activities = new Map<number, Activity>();
  /** What changed after this was nobody's: infinite while a task works. */
  #quietSince = Number.NEGATIVE_INFINITY;
  #sincePruned = 0;

  constructor(db: StateDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    db.exec(TABLES);
    this.#prune();
    for (const row of db.all('SELECT * FROM rule_activity')) {
      this.#activities.set(Number(row['seq']), {
        seq: Number(row['seq']),
        taskId: String(row['task_id']),
        rules: JSON.parse(String(row['rules'])) as string[],
        began: Number(row['began']),
        ended: row['ended'] === null ? undefined : Number(row['ended']),
      });
    }
    this.#reckonQuiet();
  }

  /** Tasks of rules that were at work when the daemon last looked. */
  openTasks(): string[] {
    return [...this.#activities.values()]
      .filter(({ ended }) => ended === undefined)
      .map(({ taskId }) => taskId);
  }

  /** What is known of an event's ancestors. */
  of(event: AiwgEvent): Ancestry {
    if (event.source === 'file_watcher') return this.#ofChange(event);
    const { taskId, gateId, ruleId } = event.payload;
    const own = typeof ruleId === 'string' ? [ruleId] : [];
    if (event.source === 'gates' && typeof gateId === 'string') {
      return { rules: [...new Set([...own, ...this.#known(event.cause)])], via: gateId };
    }
    if (event.source === 'supervisor' && typeof taskId === 'string') {
      const outside = event.payload['outside'] === true ? [OUTSIDE] : [];
      const rules = new Set([...own, ...outside, ...this.#known(taskId), ...this.#known(event.cause)]);
      return { rules: [...rules], via: taskId };
    }
    const known = this.#known(event.cause);
    const rules = OUTSIDE_SOURCES.has(event.source) ? [...new Set([OUTSIDE, ...known])] : known;
    return rules.length === 0 && event.cause === undefined ? NONE : { rules, via: event.cause ?? event.id };
  }

  /** Notes ancestors of a task or an event, beside those that are known, for whatever names it as its cause. */
  record(id: string, rules: readonly string[]): void {
    const known = this.#known(id);
    const all = new Set([...known, ...rules]);
    if (all.size === known.length) return;
    this.#db.run(
      'INSERT INTO lineage VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET rules = ?2',
      id,
      JSON.stringify([...all]),
      this.#clock.now(),
    );
    this.#sincePruned += 1;
    if (this.#sincePruned >= PRUNE_EVERY) this.#prune();
  }

  /** Follows the tasks of rules: while one works in the project's own tree, changes of files may be its own. */
  follow(event: AiwgEvent): void {
    const { taskId } = event.payload;
    if (event.source !== 'supervisor' || typeof taskId !== 'string') return;
    const at = Date.parse(event.timestamp);
    if (ENDS.has(event.type)) {
      this.ended(taskId, at);
    } else if (event.type !== 'task:output' && event.type !== 'task:progress') {
      const { rules } = this.of(event);
      if (rules.length === 0) return;
      if (event.type !== 'task:queued' && event.type !== 'task:started') return;
      this.record(taskId, rules);
      if (event.type === 'task:started') this.#follow(event, taskId, rules);
    }
  }

  /**
   * One in a folder of its own changes nothing that is watched, as long as it stays there. For what came from outside
   * that is not taken for granted: better too much counts as such than too little.
   */
  #follow(event: AiwgEvent, taskId: string, rules: readonly string[]): void {
    const isolated = event.payload['isolated'] === true;
    const suspected = isolated ? rules.filter((rule) => rule === OUTSIDE) : rules;
    if (suspected.length === 0) return;
    this.#began(taskId, suspected, timeOf(event.payload['startedAt']) ?? Date.parse(event.timestamp));
  }

  /** The task does not work any more, since `at`. */
  ended(taskId: string, at: number): void {
    for (const activity of this.#activities.values()) {
      if (activity.taskId !== taskId || activity.ended !== undefined) continue;
      this.#db.run('UPDATE rule_activity SET ended = ? WHERE seq = ?', at, activity.seq);
      activity.ended = at;
    }
    this.#reckonQuiet();
  }

  /** `startedAt` is before the agent's first breath; the event that tells it comes after. */
  #began(taskId: string, rules: readonly string[], startedAt: number): void {
    const at = startedAt - COARSE_CLOCK_MS;
    this.ended(taskId, at);
    const { id: seq } = this.#db.run(
      'INSERT INTO rule_activity (task_id, rules, began) VALUES (?, ?, ?)',
      taskId,
      JSON.stringify(rules),
      at,
    );
    this.#activities.set(seq, { seq, taskId, rules, began: at, ended: undefined });
    this.#quietSince = Number.POSITIVE_INFINITY;
    this.#sincePruned += 1;
  }

  #reckonQuiet(): void {
    this.#quietSince = Number.NEGATIVE_INFINITY;
    for (const { ended = Number.POSITIVE_INFINITY } of this.#activities.values()) {
      this.#quietSince = Math.max(this.#quietSince, ended);
    }
  }

  #ofChange(event: AiwgEvent): Ancestry {
    if (this.#activities.size === 0) return NONE;
    const at = Date.parse(event.timestamp);
    const first = timeOf(event.payload['firstChangeAt']) ?? at;
    const last = timeOf(event.payload['lastChangeAt']) ?? at;
    const slack = event.type === 'file.delete' ? REMOVAL_SLACK_MS : 0;
    if (first > this.#quietSince + slack) return NONE;
    const rules = new Set<string>();
    const tasks = new Set<string>();
    for (const activity of this.#activities.values()) {
      if (activity.began > last || (activity.ended ?? Number.POSITIVE_INFINITY) + slack < first) continue;
      for (const rule of activity.rules) rules.add(rule);
      tasks.add(activity.taskId);
    }
    return { rules: [...rules], via: [...tasks].join(', ') };
  }

  #known(id: string | undefined): readonly string[] {
    if (id === undefined) return [];
    const row = this.#db.get('SELECT rules FROM lineage WHERE id = ?', id);
    return row === undefined ? [] : (JSON.parse(String(row['rules'])) as string[]);
  }

  #prune(): void {
    this.#sincePruned = 0;
    const now = this.#clock.now();
    this.#db.run('DELETE FROM lineage WHERE at < ?', now - 7 * DAY_MS);
    this.#db.run(
      'DELETE FROM lineage WHERE id IN (SELECT id FROM lineage ORDER BY at DESC LIMIT -1 OFFSET ?)',
      MOST_KNOWN,
    );
    this.#db.run('DELETE FROM rule_activity WHERE ended < ?', now - DAY_MS);
    for (const [seq, { ended }] of this.#activities) {
      if (ended !== undefined && ended < now - DAY_MS) this.#activities.delete(seq);
    }
  }
}

function timeOf(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
