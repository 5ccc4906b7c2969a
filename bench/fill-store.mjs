// Fills a task database with finished tasks, quickly: `node bench/fill-store.mjs <tasks.db> <count>`.
import { DatabaseSync } from '@photostructure/sqlite';
import { migrate } from '#aiwgd/tasks/sqlite/schema.js';

const STATES = ['completed', 'completed', 'completed', 'completed', 'failed', 'cancelled', 'timeout'];
const AGENTS = [null, null, 'reviewer', 'script'];

/** Adds `count` finished tasks to the database at `path`, which no store has open; makes it where there is none. */
export function fillStore(path, count) {
  const db = new DatabaseSync(path);
  try {
    // A filled database is a test's material: losing it in a power cut is no harm.
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -65536');
    migrate(db);
    db.exec('BEGIN');
    const { last } = db.prepare('SELECT coalesce(max(seq), 0) AS last FROM tasks').get();
    const task = db.prepare(`
      INSERT INTO tasks (seq, state, agent, priority, created_at, started_at, completed_at, attempt, max_attempts,
        retries, retries_left, exit_code, output_bytes, source, result, usage)
      VALUES (?, ?, ?, 0, ?, ?, ?, 1, 3, 0, 0, 0, 200, 'rpc', ?, '{"input_tokens":1200}')`);
    const input = db.prepare('INSERT INTO task_inputs (seq, metadata, prompt) VALUES (?, ?, ?)');
    const start = Date.now() - count;
    for (let index = 1; index <= count; index += 1) {
      const seq = last + index;
      const at = start + index;
      const result = `Done with step ${index}: the tests pass and the change is committed on its branch.`;
      task.run(seq, STATES[index % STATES.length], AGENTS[index % AGENTS.length], at, at, at, result);
      input.run(
        seq,
        '{}',
        `Look at step ${index} of the plan, carry it out, run the tests and say what you did.`,
      );
    }
    db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
}

if (process.argv[1] !== undefined && import.meta.url.endsWith(process.argv[1].split('/').at(-1))) {
  const [path, count] = process.argv.slice(2);
  if (path === undefined || !(Number(count) > 0)) {
    process.stderr.write('usage: node bench/fill-store.mjs <tasks.db> <count>\n');
    process.exitCode = 2;
  } else {
    fillStore(path, Number(count));
  }
}
