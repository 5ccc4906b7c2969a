// Durable submits: over the socket, against the same insert in a bare loop, and many at once against one at a time.
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { openDatabase } from '#aiwgd/tasks/sqlite/open-database.js';
import { inParallel, inTurns, perSecond, ratioRow } from '../measure.mjs';
import { BLOCKER, withProject } from '../project.mjs';

const AT_ONCE = 64;
const PROMPT = 'Look at the failing test of the parser, mend it, run all tests and say what you did.';

export function submits({ turns, submits: count }) {
  return withProject({ agents: { blocker: BLOCKER }, parallel: 1 }, async (project) => {
    await project.start();
    const client = await project.connect();
    // Nothing else may run: this one holds the only slot.
    await client.task.submit({ prompt: 'hold' });
    const bare = bareLoop(join(project.base, 'bare.db'));
    const submit = () => client.task.submit({ prompt: PROMPT });
    const rates = await inTurns(
      turns,
      {
        bare: () => perSecond(count, () => bare.insert(count)),
        one: () => perSecond(count, () => inParallel(count, 1, submit)),
        many: () => perSecond(count * 4, () => inParallel(count * 4, AT_ONCE, submit)),
      },
      { warmUp: true },
    );
    bare.close();
    await project.stop();
    return [
      ratioRow('durable submit, one at a time', {
        unit: '/s',
        limit: rates.bare,
        ours: rates.one,
        least: 0.6,
      }),
      ratioRow(`durable submit, ${AT_ONCE} at once (limit: one at a time)`, {
        unit: '/s',
        limit: rates.one,
        ours: rates.many,
        least: 4,
      }),
    ];
  });
}

/** The limit: the same two rows in the same tables, a transaction each, by whoever has the database to himself. */
function bareLoop(path) {
  openDatabase(path).db.close();
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL');
  db.exec('PRAGMA synchronous = FULL');
  const task = db.prepare(`
    INSERT INTO tasks (state, priority, created_at, max_attempts, retries, retries_left, timeout_ms, source)
    VALUES ('queued', 0, ?, 3, 0, 0, 7200000, 'rpc')`);
  const input = db.prepare('INSERT INTO task_inputs (seq, metadata, prompt) VALUES (?, ?, ?)');
  return {
    insert: (count) => {
      for (let index = 0; index < count; index += 1) {
        db.exec('BEGIN IMMEDIATE');
        const { lastInsertRowid } = task.run(Date.now());
        input.run(lastInsertRowid, '{}', PROMPT);
        db.exec('COMMIT');
      }
    },
    close: () => db.close(),
  };
}
