import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, it } from 'vitest';
import { charge, DONE, newTask } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

const VERSION_1 = readFileSync(join(import.meta.dirname, 'version-1.sql'), 'utf8');

/** What version 2 added. */
const VERSION_2 = `${VERSION_1}
ALTER TABLE tasks ADD COLUMN takeovers INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 2;`;

/** What version 3 added. */
const VERSION_3 = `${VERSION_2}
ALTER TABLE tasks ADD COLUMN once TEXT;
ALTER TABLE task_inputs ADD COLUMN launch TEXT;
CREATE UNIQUE INDEX tasks_once ON tasks (once) WHERE once IS NOT NULL;
PRAGMA user_version = 3;`;

function oldFolder(sql: string): string {
  const folder = temporaryFolder();
  const db = new DatabaseSync(join(folder, 'tasks.db'));
  db.exec('PRAGMA journal_mode = WAL');
  db.exec(sql);
  db.close();
  return folder;
}

const REAP = { owner: 'me', leaseMs: 1000, limit: 5, othersAreDead: true };

it.each([
  [1, VERSION_1],
  [2, VERSION_2],
  [3, VERSION_3],
])('a database of version %i is taken on with all its tasks', async (_version, sql) => {
  const folder = oldFolder(sql);
  const { store, damaged } = await openStore(folder);
  expect(damaged).toBe(null);
  const { tasks } = await store.list({ limit: 10 });
  expect(tasks.map(({ id, prompt, state }) => [id, prompt, state])).toEqual([
    ['task-0006', 'six', 'queued'],
    ['task-0005', 'five', 'queued'],
    ['task-0003', 'three', 'running'],
    ['task-0002', 'two', 'failed'],
    ['task-0001', 'one', 'completed'],
  ]);
  expect(tasks[0]).toMatchObject({ waitReason: 'retry', runAt: '2100-01-01T00:00:00.000Z', error: 'exit 3' });
  expect(tasks[4]).toMatchObject({
    result: 'done',
    usage: { input_tokens: 3 },
    costUsd: 0.25,
    sessionId: 's-1',
  });
  expect(await store.counts()).toMatchObject({ total: 5, queued: 2, running: 1, completed: 1, failed: 1 });

  const [taken] = await store.reap(REAP);
  expect(taken).toMatchObject({ token: '3.5', attemptId: 'a-3', takeovers: 1, task: { sessionId: 's-3' } });
  const [claimed] = await store.claim({ owner: 'me', limit: 1, leaseMs: 1000 });
  expect(claimed).toMatchObject({ task: { id: 'task-0005' }, retriesLeft: 2, takeovers: 0 });
  expect(await store.submit([newTask({ key: 'k' }), newTask()])).toEqual([
    { id: 'task-0003', state: 'running', deduped: true },
    { id: 'task-0008', state: 'queued', deduped: false },
  ]);
  // What came later is there for old tasks, and for new ones.
  expect([taken?.launch, claimed?.launch]).toEqual([null, null]);
  const once = newTask({ once: 'o', launch: { event: { n: 1 } } });
  expect(await store.submit([once, once])).toMatchObject([
    { id: 'task-0009', deduped: false },
    { id: 'task-0009', deduped: true },
  ]);
  // An old task, even a running one, can be gone on from; its attempt is charged like any other.
  const [resumed] = await store.submit([newTask({ resumes: 'task-0003' })]);
  expect(await store.claim({ owner: 'me', limit: 5, leaseMs: 1000 })).toMatchObject([
    {
      task: { id: 'task-0008', conversation: null },
      past: null,
      baseline: null,
      feedback: null,
      spentUsd: 0,
    },
    { task: { id: 'task-0009' } },
  ]);
  await store.finish(taken?.token ?? '', { ...DONE, charge: charge({ attemptId: taken?.attemptId ?? '' }) });
  expect(await store.get('task-0003')).toMatchObject({ costUsd: 0.25, conversation: 'task:task-0003' });
  const [follower] = await store.claim({ owner: 'me', limit: 5, leaseMs: 1000 });
  expect(follower).toMatchObject({
    task: { id: resumed?.id },
    past: { root: 'task-0003', sessionId: 's-1' },
  });
  expect(await store.spend({ since: 0, by: 'task', limit: 5 })).toMatchObject([
    { key: 'task-0003', costUsd: 0.25 },
  ]);
  await store[Symbol.asyncDispose]();

  // What it has counted is still there after the next open.
  const again = (await openStore(folder)).store;
  expect(await again.reap({ ...REAP, owner: 'you' })).toMatchObject([
    { takeovers: 1, task: { id: 'task-0005' } },
    { takeovers: 1 },
    { takeovers: 1 },
    { takeovers: 1, task: { id: 'task-0010' } },
  ]);
});
