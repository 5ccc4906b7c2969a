import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { describe, expect, it } from 'vitest';
import { FakeClock, newTask } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

const KEPT = 'tasks.db.damaged-20260101T000000Z';

/** A folder with a database of 500 tasks, closed. */
async function filledFolder(): Promise<string> {
  const folder = temporaryFolder();
  const { store } = await openStore(folder);
  await store.submit(Array.from({ length: 500 }, () => newTask({ prompt: 'p'.repeat(300) })));
  await store[Symbol.asyncDispose]();
  return folder;
}

async function expectFreshBesideKept(folder: string): Promise<void> {
  const damagedBytes = readFileSync(join(folder, 'tasks.db'));
  const { store, damaged } = await openStore(folder, new FakeClock());
  expect(damaged).toBe(join(folder, KEPT));
  expect(readFileSync(join(folder, KEPT)).equals(damagedBytes)).toBe(true);
  expect((await store.submit([newTask()]))[0]?.id).toBe('task-0001');
  await store[Symbol.asyncDispose]();
  expect((await openStore(folder)).damaged).toBe(null);
}

describe('a damaged database', () => {
  it('of garbage is kept aside, and a new one made', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'tasks.db'), 'not a database '.repeat(1000));
    await expectFreshBesideKept(folder);
  });

  it('cut short is kept aside', async () => {
    const folder = await filledFolder();
    truncateSync(join(folder, 'tasks.db'), 20_000);
    await expectFreshBesideKept(folder);
  });

  it('with pages overwritten is kept aside', async () => {
    const folder = await filledFolder();
    const bytes = readFileSync(join(folder, 'tasks.db'));
    bytes.fill(0xa5, 4096);
    writeFileSync(join(folder, 'tasks.db'), bytes);
    await expectFreshBesideKept(folder);
  });

  it('with a version but no tables is kept aside', async () => {
    const folder = temporaryFolder();
    const db = new DatabaseSync(join(folder, 'tasks.db'));
    db.exec('PRAGMA journal_mode = WAL; PRAGMA user_version = 1; CREATE TABLE other (x)');
    db.close();
    await expectFreshBesideKept(folder);
  });

  it('never overwrites one that was kept before', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, KEPT), 'older');
    writeFileSync(join(folder, 'tasks.db'), 'garbage '.repeat(1000));
    const { damaged } = await openStore(folder, new FakeClock());
    expect(damaged).toBe(join(folder, `${KEPT}-2`));
    expect(readFileSync(join(folder, KEPT), 'utf8')).toBe('older');
  });
});

describe('what is no damage', () => {
  it('a database of a newer program is refused and left as it is', async () => {
    const folder = await filledFolder();
    const path = join(folder, 'tasks.db');
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 99');
    db.close();
    const before = readFileSync(path);
    await expect(openStore(folder)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: expect.stringContaining('newer aiwgd (schema 99'),
    });
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual(['tasks.db']);
  });

  it('a directory or a missing folder is a plain error', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'tasks.db'));
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    expect(readdirSync(folder)).toEqual(['tasks.db']);
    await expect(openStore(join(folder, 'none'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  it('an empty file is a new database', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'tasks.db'), '');
    expect((await openStore(folder)).damaged).toBe(null);
  });
});
