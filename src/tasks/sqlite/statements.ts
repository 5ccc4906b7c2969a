import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { SELECT_CLAIM, SELECT_TASK } from './rows.js';

const IMPORTED_COLUMNS = `state, agent, priority, run_at, wait_reason, created_at, started_at, completed_at, lease_until,
  attempt, max_attempts, timeout_ms, pid, exit_code, signal, session_id, output_bytes, cost_usd, source, rule_id,
  caused_by, key, cwd, error, usage, result, outside`;

/** Clears what the newest attempt left behind. */
const NO_TRACE = 'exit_code = NULL, signal = NULL, usage = NULL, result = NULL, output_bytes = 0';

const NO_LEASE = 'owner = NULL, lease_until = NULL, pid = NULL, cancel_requested = 0';

/** Every statement of the engine but those that find tasks; `INDEXED BY` because the planner guesses wrong without it. */
export function prepareStatements(db: DatabaseSyncInstance) {
  return {
    read: db.prepare(SELECT_TASK),
    readClaim: db.prepare(SELECT_CLAIM),
    insert: db.prepare(`
      INSERT INTO tasks (state, agent, priority, run_at, wait_reason, created_at, max_attempts, retries, retries_left,
        timeout_ms, source, rule_id, caused_by, key, cwd, once, outside)
      VALUES ('queued', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)`),
    insertInput: db.prepare('INSERT INTO task_inputs (seq, metadata, prompt, launch) VALUES (?, ?, ?, ?)'),
    insertImported: db.prepare(`
      INSERT INTO tasks (seq, retries, retries_left, ${IMPORTED_COLUMNS})
      VALUES (:seq, 0, 0, ${IMPORTED_COLUMNS.replace(/\w+/g, ':$&')})`),
    stateOf: db.prepare('SELECT state, key, conversation FROM tasks WHERE seq = ?'),
    byOnce: db.prepare('SELECT seq, state FROM tasks INDEXED BY tasks_once WHERE once = ?'),
    original: db.prepare('SELECT agent, conversation FROM tasks WHERE seq = ?'),
    activeByKey: db.prepare(`
      SELECT seq, state FROM tasks INDEXED BY tasks_active_key
      WHERE key = ? AND state IN ('queued', 'running')`),
    promote: db.prepare(`
      UPDATE tasks INDEXED BY tasks_delayed SET run_at = NULL, wait_reason = NULL
      WHERE state = 'queued' AND run_at <= ?`),
    /** A negative limit is none. */
    wake: db.prepare(`
      UPDATE tasks SET run_at = NULL, wait_reason = NULL
      WHERE seq IN (
        SELECT seq FROM tasks INDEXED BY tasks_delayed
        WHERE state = 'queued' AND run_at IS NOT NULL AND wait_reason = :waitReason
          AND (:ruleId IS NULL OR rule_id = :ruleId)
        ORDER BY priority DESC, seq LIMIT :limit)`),
    begin: db.prepare(`
      UPDATE tasks SET state = 'running', fence = fence + 1, owner = :owner, lease_until = :leaseUntil,
        attempt_id = :attemptId, cancel_requested = 0, attempt = attempt + 1, started_at = :now, pid = NULL,
        run_at = NULL, wait_reason = NULL, error = NULL, ${NO_TRACE}
      WHERE seq = :seq`),
    heartbeat: db.prepare(`
      UPDATE tasks SET lease_until = :leaseUntil,
        pid = CASE WHEN :setsPid THEN :pid ELSE pid END,
        session_id = CASE WHEN :setsSession THEN :sessionId ELSE session_id END,
        output_bytes = coalesce(:outputBytes, output_bytes),
        takeovers = CASE WHEN :steady THEN 0 ELSE takeovers END
      WHERE seq = :seq AND fence = :fence AND state = 'running'
      RETURNING cancel_requested`),
    finish: db.prepare(`
      UPDATE tasks SET state = :state, completed_at = :now, ${NO_LEASE}, result = :result, error = :error,
        exit_code = :exitCode, signal = :signal, session_id = :sessionId,
        cost_usd = coalesce(cost_usd, :costUsd), usage = :usage, output_bytes = :outputBytes
      WHERE seq = :seq`),
    held: db.prepare(`
      SELECT seq, attempt, rule_id, conversation, cancel_requested FROM tasks
      WHERE seq = ? AND fence = ? AND state = 'running'`),
    addCost: db.prepare('UPDATE tasks SET cost_usd = coalesce(cost_usd, 0) + ? WHERE seq = ?'),
    release: db.prepare(`
      UPDATE tasks SET state = :state, completed_at = :completedAt, ${NO_LEASE}, run_at = :runAt,
        wait_reason = :waitReason, error = :error, session_id = :sessionId, output_bytes = :outputBytes,
        retries_left = max(0, retries_left - :retriesUsed), attempt = max(0, attempt - :attemptsUndone),
        takeovers = CASE WHEN :attemptsUndone THEN takeovers ELSE 0 END, feedback = coalesce(:feedback, feedback),
        follows = conversation IS NOT NULL AND :state = 'queued'
      WHERE seq = :seq`),
    takeOver: db.prepare(`
      UPDATE tasks SET fence = fence + 1, owner = :owner, lease_until = :leaseUntil, takeovers = takeovers + 1
      WHERE seq = :seq`),
    cancelQueued: db.prepare(`
      UPDATE tasks SET state = 'cancelled', completed_at = ?2, run_at = NULL, wait_reason = NULL WHERE seq = ?1`),
    cancelRunning: db.prepare('UPDATE tasks SET cancel_requested = 1 WHERE seq = ?'),
    requeue: db.prepare(`
      UPDATE tasks SET state = 'queued', completed_at = NULL, started_at = NULL, ${NO_LEASE}, attempt = 0,
        retries_left = retries, takeovers = 0, session_id = NULL, error = NULL, run_at = NULL, wait_reason = NULL, cost_usd = NULL,
        feedback = NULL, follows = conversation IS NOT NULL, ${NO_TRACE}
      WHERE seq = ?`),
    touch: db.prepare("INSERT INTO task_counts VALUES ('', 0)"),
    untouch: db.prepare("DELETE FROM task_counts WHERE state = ''"),
    forget: db.prepare('DELETE FROM tasks WHERE seq = ?'),
    forgetInput: db.prepare('DELETE FROM task_inputs WHERE seq = ?'),
  };
}

/** The statements that find tasks: each one a seek in one index. */
export function prepareFinders(db: DatabaseSyncInstance) {
  return {
    nextReadyAgent: db.prepare(`
      SELECT agent FROM tasks INDEXED BY tasks_ready
      WHERE state = 'queued' AND run_at IS NULL AND follows = 0 AND agent > ? ORDER BY agent LIMIT 1`),
    readyOfAgent: db.prepare(`
      SELECT seq, priority FROM tasks INDEXED BY tasks_ready
      WHERE state = 'queued' AND run_at IS NULL AND follows = 0 AND agent IS ? ORDER BY priority DESC, seq LIMIT ?`),
    expired: db.prepare(`
      SELECT seq FROM tasks INDEXED BY tasks_running WHERE state = 'running'
        AND (lease_until <= :now OR (:othersAreDead AND owner IS NOT :owner))
      ORDER BY seq LIMIT :limit`),
    newest: db.prepare('SELECT seq FROM tasks WHERE seq < ? ORDER BY seq DESC LIMIT ?'),
    newestOfState: db.prepare(`
      SELECT seq FROM tasks INDEXED BY tasks_by_state WHERE state = ? AND seq < ? ORDER BY seq DESC LIMIT ?`),
    newestOfAgent: db.prepare(`
      SELECT seq FROM tasks INDEXED BY tasks_by_agent WHERE agent = ? AND state = ? AND seq < ?
      ORDER BY seq DESC LIMIT ?`),
    counts: db.prepare('SELECT state, count FROM task_counts'),
    nextRunAt: db.prepare(`
      SELECT min(run_at) AS at FROM tasks INDEXED BY tasks_delayed WHERE state = 'queued' AND run_at IS NOT NULL`),
    endedBefore: db.prepare(`
      SELECT seq FROM tasks INDEXED BY tasks_ended WHERE completed_at < ? ORDER BY completed_at, seq LIMIT ?`),
    endedSince: db.prepare(`
      SELECT seq, state, completed_at AS at FROM tasks INDEXED BY tasks_ended
      WHERE completed_at >= :at AND (completed_at > :at OR seq > :past) ORDER BY completed_at, seq LIMIT :limit`),
  };
}
