import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { DamagedTasksFileError, importOriginal, keepDamagedTasksFile } from '#aiwgd/tasks/import-original.js';
import type { StoredTask } from '#aiwgd/tasks/task-store.js';
import { TasksExport } from '#aiwgd/tasks/tasks-export.js';
import { BACK, charge, FakeClock, MemoryTaskStore, newTask } from '#aiwgd/testing/index.js';
import { noLog, openStore, temporaryFolder } from './open-store.js';

const ORIGINAL = {
  version: 1,
  updatedAt: '2026-01-02T00:00:00.000Z',
  tasks: [
    {
      id: 'task-0000',
      prompt: 'p0',
      agent: 'reviewer',
      priority: 2,
      state: 'completed',
      createdAt: '2026-01-01T00:00:00.000Z',
      startedAt: '2026-01-01T00:00:01.000Z',
      completedAt: '2026-01-01T00:00:02.000Z',
      pid: 17,
      result: { ok: true },
      error: null,
      output: 'o',
      metadata: { a: 1 },
    },
    {
      id: 'task-0001',
      prompt: 'p1',
      agent: null,
      priority: 0,
      state: 'running',
      createdAt: '2026-01-01T00:00:00.000Z',
      startedAt: '2026-01-01T00:00:01.000Z',
      pid: 18,
    },
    { id: 'task-0002', prompt: 'p2', state: 'timeout' },
  ],
};

function fileWith(content: string): string {
  const path = join(temporaryFolder(), 'tasks.json');
  writeFileSync(path, content);
  return path;
}

describe('importOriginal', () => {
  it('reads the format of the original program, and a store takes it', async () => {
    const tasks = await importOriginal(fileWith(JSON.stringify(ORIGINAL)));
    const { store } = await openStore(temporaryFolder());
    expect(await store.import(tasks)).toBe(3);
    expect(await store.get('task-0000')).toMatchObject({
      prompt: 'p0',
      agent: 'reviewer',
      priority: 2,
      state: 'completed',
      completedAt: '2026-01-01T00:00:02.000Z',
      pid: null,
      result: '{"ok":true}',
      metadata: { a: 1 },
    });
    expect(await store.get('task-0001')).toMatchObject({
      state: 'queued',
      startedAt: null,
      attempt: 0,
      pid: null,
    });
    const [next] = await store.claim({ owner: 'me', limit: 5, leaseMs: 1000 });
    expect(next?.task.id).toBe('task-0001');
    expect((await store.get('task-0002'))?.completedAt).not.toBe(null);
    expect((await store.submit([newTask()]))[0]?.id).toBe('task-0003');
  });

  it.each([
    ['', 'it is not JSON'],
    ['{"version": 1, "tasks": [{"id": "ta', 'it is not JSON'],
    ['null', 'no list "tasks"'],
    ['{"tasks": {}}', 'no list "tasks"'],
    ['{"tasks": [null]}', 'tasks[0] is no object'],
    ['{"tasks": [{"id": "../x", "prompt": "p", "state": "queued"}]}', 'tasks[0].id'],
    [
      '{"tasks": [{"id": "task-999999999999999", "prompt": "p", "state": "queued"}]}',
      'tasks[0].id is too high',
    ],
    ['{"tasks": [{"id": "task-0001", "prompt": 5, "state": "queued"}]}', 'tasks[0].prompt'],
    ['{"tasks": [{"id": "task-0001", "prompt": "p", "state": "lost"}]}', 'tasks[0].state'],
  ])('says what is wrong with %j', async (content, reason) => {
    const error: unknown = await importOriginal(fileWith(content)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DamagedTasksFileError);
    expect((error as Error).message).toContain(reason);
  });

  it.each([
    ['delay', true],
    ['retry', true],
    ['budget', false],
    ['rate_limit', false],
  ])('keeps the time of a task that waits for %s: %s', async (waitReason, keeps) => {
    const runAt = '2026-01-03T00:00:00.000Z';
    const task = { id: 'task-0001', prompt: 'p', state: 'queued', runAt, waitReason };
    const [taken] = await importOriginal(fileWith(JSON.stringify({ tasks: [task] })));
    expect(taken).toMatchObject(keeps ? { runAt, waitReason } : { runAt: null, waitReason: null });
  });

  it('tells a file that cannot be read from a damaged one', async () => {
    const error: unknown = await importOriginal(temporaryFolder()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'STORAGE_FAILED' });
    expect(error).not.toBeInstanceOf(DamagedTasksFileError);
  });

  it('keeps damaged files under names of their own', async () => {
    const path = fileWith('first');
    await keepDamagedTasksFile(path, 0);
    writeFileSync(path, 'second');
    expect(await keepDamagedTasksFile(path, 0)).toBe(`${path}.damaged-19700101T000000Z-2`);
    expect(readFileSync(`${path}.damaged-19700101T000000Z`, 'utf8')).toBe('first');
  });
});

interface Exported {
  version: number;
  updatedAt: string;
  tasks: (StoredTask & { output: null })[];
}

function setUp(path = join(temporaryFolder(), 'tasks.json')) {
  const clock = new FakeClock();
  const store = new MemoryTaskStore(clock);
  const errors: unknown[] = [];
  const tasks = new TasksExport({ store, path, clock, log: noLog, onFault: (error) => errors.push(error) });
  const read = (): Exported => JSON.parse(readFileSync(path, 'utf8')) as Exported;
  return { clock, store, errors, tasks, read, path };
}

describe('TasksExport', () => {
  it('writes every active task and the newest 200 ended ones, in the form of the original', async () => {
    const { store, tasks, read, path } = setUp();
    await store.submit(Array.from({ length: 400 }, (_, index) => newTask({ prompt: `p${index}` })));
    for (const { token, task } of await store.claim({ owner: 'me', limit: 260, leaseMs: 1000 })) {
      const state = Number(task.id.slice(5)) % 3 === 0 ? 'failed' : 'completed';
      if (task.id <= 'task-0250') {
        await store.finish(token, {
          state,
          result: 'r',
          error: null,
          exitCode: 0,
          signal: null,
          sessionId: null,
          costUsd: null,
          usage: null,
          outputBytes: 0,
          charge: null,
        });
      }
    }
    tasks.changed();
    await tasks.close();
    const { version, updatedAt, tasks: exported } = read();
    expect([version, updatedAt]).toEqual([1, '2026-01-01T00:00:00.000Z']);
    const numbers = exported.map(({ id }) => Number(id.slice(5))).toSorted((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 350 }, (_, index) => index + 51));
    expect(exported.find(({ id }) => id === 'task-0400')).toMatchObject({
      prompt: 'p399',
      state: 'queued',
      output: null,
    });
    expect(readdirSync(join(path, '..'))).toEqual(['tasks.json']);
    expect((await importOriginal(path)).length).toBe(350);
  });

  it('keeps what a task has to go on with, for a store that takes it in', async () => {
    const { store, tasks, read, path } = setUp();
    await store.submit([newTask({ conversation: 'c' }), newTask({ conversation: 'c' }), newTask()]);
    const [first] = await store.claim({ owner: 'me', limit: 1, leaseMs: 1000 });
    const cost = charge({ costUsd: 0.5 });
    await store.release(first?.token ?? '', { ...BACK, runAt: 2e12, waitReason: 'retry', charge: cost });
    tasks.changed();
    await tasks.close();
    const exported = read().tasks.find(({ id }) => id === 'task-0001');
    expect(exported).toMatchObject({ conversation: 'c', progress: null, output: null, costUsd: 0.5 });

    const { store: other } = await openStore(temporaryFolder());
    await other.import(await importOriginal(path));
    expect(await other.get('task-0001')).toMatchObject({
      conversation: 'c',
      costUsd: 0.5,
      runAt: exported?.runAt,
    });
    const claims = await other.claim({ owner: 'me', limit: 5, leaseMs: 1000 });
    expect(claims.map(({ task: { id } }) => id)).toEqual(['task-0003']);
    await other.requestCancel('task-0001');
    const [next] = await other.claim({ owner: 'me', limit: 5, leaseMs: 1000 });
    expect(next).toMatchObject({ task: { id: 'task-0002' }, past: { root: 'task-0001' } });
  });

  it('writes at most once a second, and nothing where nothing changed', async () => {
    const { clock, store, tasks, read } = setUp();
    await store.submit([newTask()]);
    tasks.changed();
    clock.advance(0);
    await tasks.flush();
    expect(read().tasks.length).toBe(1);
    expect(clock.pending).toBe(0);
    await store.submit([newTask()]);
    tasks.changed();
    tasks.changed();
    clock.advance(999);
    expect(clock.pending).toBe(1);
    expect(read().tasks.length).toBe(1);
    clock.advance(1);
    await vi.waitFor(() => expect(read().tasks.length).toBe(2));
    await tasks.close();
  });

  it('keeps the old file where the new one cannot be written, and tries again after a while', async () => {
    const { clock, store, tasks, read, errors, path } = setUp();
    await store.submit([newTask()]);
    tasks.changed();
    await tasks.flush();
    mkdirSync(`${path}.tmp`);
    await store.submit([newTask()]);
    tasks.changed();
    await tasks.flush();
    expect(errors).toMatchObject([undefined, { cause: { code: 'EISDIR' } }]);
    expect(read().tasks.length).toBe(1);
    rmSync(`${path}.tmp`, { recursive: true });
    clock.advance(5_000);
    await vi.waitFor(() => expect(read().tasks.length).toBe(2));
    await vi.waitFor(() => expect(errors.slice(2)).toEqual([undefined]));
    await tasks.close();
  });
});
