import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { AiwgdError } from '../../protocol/errors.js';

/**
 * Prompts and metadata never change after the submit and may be megabytes: in a table of their own, so that a
 * heartbeat does not write them again and a scan does not read them. Within `tasks` the large columns come last.
 *
 * Every index carries the row's `seq` at its end by itself. `tasks_ready` has one stretch per agent, so that a claim
 * passes over a busy agent in one step, however many tasks wait for it.
 */
const VERSION_1 = `
CREATE TABLE tasks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  state TEXT NOT NULL,
  agent TEXT,
  priority INTEGER NOT NULL,
  run_at INTEGER,
  wait_reason TEXT,
  fence INTEGER NOT NULL DEFAULT 0,
  owner TEXT,
  lease_until INTEGER,
  attempt_id TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  completed_at INTEGER,
  attempt INTEGER NOT NULL DEFAULT 0,
  max_attempts INTEGER NOT NULL,
  retries INTEGER NOT NULL,
  retries_left INTEGER NOT NULL,
  timeout_ms INTEGER,
  pid INTEGER,
  exit_code INTEGER,
  signal TEXT,
  session_id TEXT,
  output_bytes INTEGER NOT NULL DEFAULT 0,
  cost_usd REAL,
  source TEXT NOT NULL,
  rule_id TEXT,
  caused_by TEXT,
  key TEXT,
  cwd TEXT,
  error TEXT,
  usage TEXT,
  result TEXT
);
CREATE TABLE task_inputs (seq INTEGER PRIMARY KEY, metadata TEXT NOT NULL, prompt TEXT NOT NULL);
CREATE INDEX tasks_ready ON tasks (agent, priority DESC) WHERE state = 'queued' AND run_at IS NULL;
CREATE INDEX tasks_delayed ON tasks (run_at) WHERE state = 'queued' AND run_at IS NOT NULL;
CREATE INDEX tasks_running ON tasks (lease_until) WHERE state = 'running';
CREATE INDEX tasks_by_state ON tasks (state);
CREATE INDEX tasks_by_agent ON tasks (agent, state) WHERE agent IS NOT NULL;
CREATE UNIQUE INDEX tasks_active_key ON tasks (key) WHERE key IS NOT NULL AND state IN ('queued', 'running');
CREATE INDEX tasks_ended ON tasks (completed_at) WHERE completed_at IS NOT NULL;
CREATE TABLE task_counts (state TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO task_counts VALUES
  ('queued', 0), ('running', 0), ('completed', 0), ('failed', 0), ('cancelled', 0), ('timeout', 0);
CREATE TRIGGER tasks_counted_in AFTER INSERT ON tasks BEGIN
  UPDATE task_counts SET count = count + 1 WHERE state = new.state;
END;
CREATE TRIGGER tasks_counted_over AFTER UPDATE OF state ON tasks WHEN old.state <> new.state BEGIN
  UPDATE task_counts SET count = count - 1 WHERE state = old.state;
  UPDATE task_counts SET count = count + 1 WHERE state = new.state;
END;
CREATE TRIGGER tasks_counted_out AFTER DELETE ON tasks BEGIN
  UPDATE task_counts SET count = count - 1 WHERE state = old.state;
END;
`;

/** How often in a row a running task changed hands; stands after the large columns, which a running task has not. */
const VERSION_2 = 'ALTER TABLE tasks ADD COLUMN takeovers INTEGER NOT NULL DEFAULT 0;';

/**
 * What only some tasks have. `once` stands after the large columns, and only its index is asked for it; `launch` is read
 * with the prompt, by a claim alone.
 */
const VERSION_3 = `
ALTER TABLE tasks ADD COLUMN once TEXT;
ALTER TABLE task_inputs ADD COLUMN launch TEXT;
CREATE UNIQUE INDEX tasks_once ON tasks (once) WHERE once IS NOT NULL;
`;

/**
 * Conversations and money. `follows` is 1 while a task waits for another of its conversation: no claim comes across it
 * then, however many wait. `root` is the number of the conversation's first task, which may be forgotten before the
 * others. A charge outlives its task; its `id` is the order of the ends, whatever the clock said.
 */
const VERSION_4 = `
ALTER TABLE tasks ADD COLUMN conversation TEXT;
ALTER TABLE tasks ADD COLUMN root INTEGER;
ALTER TABLE tasks ADD COLUMN follows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN feedback TEXT;
ALTER TABLE tasks ADD COLUMN outside INTEGER NOT NULL DEFAULT 0;
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (agent, priority DESC) WHERE state = 'queued' AND run_at IS NULL AND follows = 0;
CREATE INDEX tasks_conversing ON tasks (conversation, state) WHERE conversation IS NOT NULL;
CREATE INDEX tasks_sessions ON tasks (conversation) WHERE conversation IS NOT NULL AND session_id IS NOT NULL;
CREATE INDEX tasks_outside ON tasks (conversation) WHERE conversation IS NOT NULL AND outside = 1;
CREATE TABLE charges (
  id INTEGER PRIMARY KEY,
  attempt_id TEXT NOT NULL UNIQUE,
  seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  agent TEXT NOT NULL,
  rule_id TEXT,
  ended_at INTEGER NOT NULL,
  cost_usd REAL,
  input_tokens INTEGER,
  cached_tokens INTEGER,
  output_tokens INTEGER,
  counted_usd REAL NOT NULL,
  session_id TEXT,
  session_totals TEXT
);
CREATE INDEX charges_ended ON charges (ended_at);
CREATE INDEX charges_totals ON charges (session_id) WHERE session_totals IS NOT NULL;
CREATE INDEX charges_unknown ON charges (session_id) WHERE cost_usd IS NULL AND counted_usd > 0;
`;

/** Step n leads from version n to n + 1. A step that was published is never changed. */
const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4];

const SCHEMA_VERSION = MIGRATIONS.length;

/** Version of the schema in the file; 0 for a new one. */
function schemaVersionOf(db: DatabaseSyncInstance): number {
  const row = db.prepare('PRAGMA user_version').get() as { user_version: number };
  return row.user_version;
}

/** Throws STORAGE_FAILED for a database that a newer program wrote; changes nothing. */
export function refuseNewerSchema(db: DatabaseSyncInstance, path: string): void {
  const version = schemaVersionOf(db);
  if (version <= SCHEMA_VERSION) return;
  throw new AiwgdError(
    'STORAGE_FAILED',
    `${path} was written by a newer aiwgd (schema ${version}; this one knows ${SCHEMA_VERSION}). ` +
      'It was left as it is: start the newer aiwgd, or move the file away to begin with an empty queue.',
    { data: { reason: 'newer schema', version, known: SCHEMA_VERSION } },
  );
}

/** Brings the database to the present version, step by step, each one all or nothing. */
export function migrate(db: DatabaseSyncInstance): void {
  for (let version = schemaVersionOf(db); version < SCHEMA_VERSION; version += 1) {
    db.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[version] ?? ''} PRAGMA user_version = ${version + 1}; COMMIT;`);
  }
}
