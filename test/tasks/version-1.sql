-- A database as version 1 of the schema left it, with a task of every kind. Never changed: such files are out there.
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
INSERT INTO tasks (seq, state, agent, priority, run_at, wait_reason, fence, owner, lease_until, attempt_id, created_at,
  started_at, completed_at, attempt, max_attempts, retries, retries_left, pid, exit_code, session_id, output_bytes,
  cost_usd, source, key, error, usage, result)
VALUES
  (1, 'completed', NULL, 0, NULL, NULL, 1, NULL, NULL, 'a-1', 1000, 2000, 3000, 1, 3, 0, 0, NULL, 0, 's-1', 5, 0.25,
    'cli', NULL, NULL, '{"input_tokens":3}', 'done'),
  (2, 'failed', 'reviewer', 5, NULL, NULL, 2, NULL, NULL, 'a-2', 1001, 2001, 3001, 2, 3, 1, 0, NULL, 1, NULL, 0, NULL,
    'rpc', 'k', 'exit 1', NULL, NULL),
  (3, 'running', NULL, 0, NULL, NULL, 4, 'owner-1', 9000, 'a-3', 1002, 2002, NULL, 2, 3, 0, 0, 77, NULL, 's-3', 9, NULL,
    'rpc', 'k', NULL, NULL, NULL),
  (5, 'queued', 'reviewer', -1, NULL, NULL, 0, NULL, NULL, NULL, 1003, NULL, NULL, 0, 3, 2, 2, NULL, NULL, NULL, 0, NULL,
    'rpc', NULL, NULL, NULL, NULL),
  (6, 'queued', NULL, 0, 4102444800000, 'retry', 1, NULL, NULL, 'a-6', 1004, 2004, NULL, 1, 3, 2, 1, NULL, NULL, NULL, 4,
    NULL, 'rpc', NULL, 'exit 3', NULL, NULL);
INSERT INTO task_inputs VALUES (1, '{}', 'one'), (2, '{"a":1}', 'two'), (3, '{}', 'three'), (5, '{}', 'five'), (6, '{}', 'six');
UPDATE sqlite_sequence SET seq = 7 WHERE name = 'tasks';
PRAGMA user_version = 1;
