import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newTask } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

/** What a kill at this moment would leave, opened: the ids of all tasks in it. */
async function idsAfterKill(folder: string): Promise<string[]> {
  const copy = temporaryFolder();
  for (const name of ['tasks.db', 'tasks.db-wal'])
    if (existsSync(join(folder, name))) copyFileSync(join(folder, name), join(copy, name));
  const { store, damaged } = await openStore(copy);
  expect(damaged).toBe(null);
  return (await store.list({ limit: 100 })).tasks.map(({ id }) => id).toReversed();
}

const remove = (folder: string, ...names: string[]): void => {
  for (const name of names) rmSync(join(folder, name));
};

describe('a database that is removed while it is open', () => {
  it.each<[string, (folder: string) => void]>([
    ['its -wal', (folder) => remove(folder, 'tasks.db-wal')],
    ['only the database', (folder) => remove(folder, 'tasks.db')],
    ['all its files', (folder) => remove(folder, 'tasks.db', 'tasks.db-wal', 'tasks.db-shm')],
    [
      'its folder',
      (folder) => {
        rmSync(folder, { recursive: true });
        mkdirSync(folder);
      },
    ],
  ])('(%s) is written anew before the next task is acknowledged', async (_what, removeIt) => {
    const folder = join(temporaryFolder(), "it's");
    mkdirSync(folder);
    const told: string[] = [];
    const { store } = await openStore(folder, undefined, (message) => told.push(message));
    await store.submit([newTask(), newTask()]);
    for (let round = 0; round < 2; round += 1) {
      removeIt(folder);
      expect((await store.submit([newTask()]))[0]?.id).toBe(`task-000${3 + round}`);
      expect(told).toHaveLength(round + 1);
    }
    expect(await idsAfterKill(folder)).toEqual(['task-0001', 'task-0002', 'task-0003', 'task-0004']);
    await store[Symbol.asyncDispose]();
    expect(readdirSync(folder)).toEqual(['tasks.db']);
  });

  it('and replaced by another file is written anew, and the other kept aside', async () => {
    const folder = temporaryFolder();
    const { store } = await openStore(folder);
    await store.submit([newTask()]);
    remove(folder, 'tasks.db');
    writeFileSync(join(folder, 'tasks.db'), 'something else');
    await store.submit([newTask()]);
    expect(await idsAfterKill(folder)).toEqual(['task-0001', 'task-0002']);
    const [kept] = readdirSync(folder).filter((name) => name.includes('.damaged-'));
    expect(readFileSync(join(folder, kept ?? ''), 'utf8')).toBe('something else');
  });

  it('and cannot be written anew acknowledges nothing, answers reads, and goes on when it can', async () => {
    const folder = join(temporaryFolder(), 'daemon');
    mkdirSync(folder);
    const { store } = await openStore(folder);
    await store.submit([newTask()]);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    await expect(store.submit([newTask()])).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    expect((await store.get('task-0001'))?.state).toBe('queued');
    rmSync(folder);
    await expect
      .poll(
        () =>
          store.submit([newTask()]).then(
            ([task]) => task?.id,
            () => 'refused',
          ),
        { timeout: 10_000 },
      )
      .toBe('task-0002');
    expect(await idsAfterKill(folder)).toEqual(['task-0001', 'task-0002']);
  });

  it('is written anew at the close, too', async () => {
    const folder = temporaryFolder();
    const { store } = await openStore(folder);
    await store.submit([newTask()]);
    remove(folder, 'tasks.db', 'tasks.db-wal', 'tasks.db-shm');
    await store[Symbol.asyncDispose]();
    expect(await idsAfterKill(folder)).toEqual(['task-0001']);
  });
});
