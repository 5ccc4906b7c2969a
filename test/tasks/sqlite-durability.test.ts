import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import type { TaskStore } from '#aiwgd/tasks/task-store.js';
import { newTask } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: unknown) => (error instanceof AiwgdError ? error.code : error),
  );

/** Commits in a WAL: frames whose header names the size of the database after it. */
function commitsIn(wal: string): number {
  const bytes = readFileSync(wal);
  const frame = 24 + bytes.readUInt32BE(8);
  let commits = 0;
  for (let at = 32; at + frame <= bytes.length; at += frame)
    if (bytes.readUInt32BE(at + 4) !== 0) commits += 1;
  return commits;
}

describe('durability', () => {
  it('keeps every acknowledged task through kill -9', async () => {
    const path = join(temporaryFolder(), 'tasks.db');
    const script = fileURLToPath(new URL('submit-until-killed.mjs', import.meta.url));
    const acknowledged: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      const enough = 1 + Math.floor(Math.random() * 300);
      child.stdout.on('data', (data: Buffer) => {
        output += data.toString();
        if (output.split('\n').length > enough) child.kill('SIGKILL');
      });
      await once(child, 'close');
      const lines = output.split('\n').slice(0, -1);
      expect(lines.length).toBeGreaterThanOrEqual(enough);
      acknowledged.push(...lines);
    }
    const { store, damaged } = await openStore(join(path, '..'));
    expect(damaged).toBe(null);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    const found = await Promise.all(acknowledged.map((id) => store.get(id)));
    expect(found.filter((task) => task === undefined)).toEqual([]);
  });

  it('knows every acknowledged name through kill -9, so that its task is stored once', async () => {
    const path = join(temporaryFolder(), 'tasks.db');
    const script = fileURLToPath(new URL('submit-once-until-killed.mjs', import.meta.url));
    const ids = new Map<string, string>();
    for (let round = 1; round <= 5; round += 1) {
      const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.on('data', (data: Buffer) => {
        output += data.toString();
        if (output.split('\n').length > 40 * round) child.kill('SIGKILL');
      });
      await once(child, 'close');
      for (const line of output.split('\n').slice(0, -1)) {
        const [name = '', id = ''] = line.split(' ');
        expect(ids.get(name) ?? id).toBe(id);
        ids.set(name, id);
      }
    }
    expect(ids.size).toBeGreaterThanOrEqual(200);
    expect(new Set(ids.values()).size).toBe(ids.size);
    const { store } = await openStore(join(path, '..'));
    for (const claim of await store.claim({ owner: 'me', limit: 20, leaseMs: 1000 }))
      expect(ids.get(String(claim.launch?.event?.['number']))).toBe(claim.task.id);
  });

  it('has charged every ended task once through kill -9, and no other', async () => {
    const path = join(temporaryFolder(), 'tasks.db');
    const script = fileURLToPath(new URL('charge-until-killed.mjs', import.meta.url));
    const acknowledged: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      const enough = 1 + Math.floor(Math.random() * 60);
      child.stdout.on('data', (data: Buffer) => {
        output += data.toString();
        if (output.split('\n').length > enough) child.kill('SIGKILL');
      });
      await once(child, 'close');
      acknowledged.push(...output.split('\n').slice(0, -1));
    }
    const { store } = await openStore(join(path, '..'));
    const { completed } = await store.counts();
    expect(completed).toBeGreaterThanOrEqual(acknowledged.length);
    const [sum] = await store.spend({ since: 0, by: 'agent', limit: 1 });
    expect(sum).toMatchObject({ attempts: completed, costUsd: completed * 0.25 });
    const found = await Promise.all(acknowledged.map((id) => store.get(id)));
    expect(found.filter((task) => task?.costUsd !== 0.25)).toEqual([]);
  });

  it('shares commits between operations that come together, and undoes only the one that fails', async () => {
    const folder = temporaryFolder();
    const { store } = await openStore(folder);
    const before = commitsIn(join(folder, 'tasks.db-wal'));
    const bad = { ...newTask(), priority: Number.NaN };
    const work = Array.from({ length: 64 }, (_, index) =>
      store.submit([newTask(), index === 30 ? bad : newTask()]),
    );
    const outcomes = await Promise.allSettled(work);
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBe(1);
    expect(await codeOf(work[30]!)).toBe('INVALID_PARAMS');
    expect((await store.counts()).queued).toBe(126);
    expect(commitsIn(join(folder, 'tasks.db-wal')) - before).toBe(1);
    for (let count = 0; count < 5; count += 1) await store.submit([newTask()]);
    expect(commitsIn(join(folder, 'tasks.db-wal')) - before).toBe(6);
  });

  it('finishes what was handed in before it closes, and keeps the file private', async () => {
    const folder = temporaryFolder();
    const { store } = await openStore(folder);
    const submits = Array.from({ length: 2000 }, () => store.submit([newTask()]));
    const closed = store[Symbol.asyncDispose]();
    expect((await Promise.all(submits)).length).toBe(2000);
    await closed;
    expect(statSync(join(folder, 'tasks.db')).mode & 0o777).toBe(0o600);
    expect((await (await openStore(folder)).store.counts()).queued).toBe(2000);
  });

  it('refuses more than it can hold instead of growing', async () => {
    const { store } = await openStore(temporaryFolder());
    const work = Array.from({ length: 100_050 }, () => store.nextRunAt());
    const outcomes = await Promise.allSettled(work);
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBe(50);
    expect(await codeOf(work.at(-1)!)).toBe('OVERLOADED');
  });

  it('rejects what is pending when its thread dies, and goes on with a new one', async () => {
    const workers: Worker[] = [];
    const listener = (worker: Worker): void => void workers.push(worker);
    process.on('worker', listener);
    onTestFinished(() => void process.off('worker', listener));
    const { store } = await openStore(temporaryFolder());
    await store.submit([newTask()]);
    const pending = Array.from({ length: 2000 }, () => codeOf(store.submit([newTask()])));
    // Before it takes the first batch: ended in the middle of one, the library may take the whole process with it.
    const ending = workers[0]?.terminate();
    const outcomes = new Set(await Promise.all(pending));
    await ending;
    expect(outcomes.has('STORAGE_FAILED')).toBe(true);
    expect([...outcomes].filter((code) => code !== 'STORAGE_FAILED' && code !== 'no error')).toEqual([]);
    expect(await codeOf(store.submit([newTask()]))).toBe('no error');
    expect((await store.get('task-0001'))?.state).toBe('queued');
    expect(workers.length).toBe(2);
  });
});

function smallDisk(): string {
  const folder = temporaryFolder();
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]);
  onTestFinished(() => void spawnSync('umount', [disk]));
  return status === 0 ? disk : '';
}

async function submitUntilFull(store: TaskStore): Promise<{ stored: string[]; code: unknown }> {
  const stored: string[] = [];
  for (let count = 0; count < 1000; count += 1) {
    const work = store.submit([newTask({ prompt: 'x'.repeat(100_000) })]);
    const code = await codeOf(work);
    if (code !== 'no error') return { stored, code };
    stored.push((await work)[0]!.id);
  }
  return { stored, code: 'never full' };
}

describe('a full disk', () => {
  const isRoot = process.platform === 'linux' && process.getuid?.() === 0;

  // Mounting needs root on Linux.
  it.skipIf(!isRoot)('is a clear error, loses nothing, and is over when there is room', async ({ skip }) => {
    const disk = smallDisk();
    if (disk === '') skip('this container may not mount');
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(2_000_000));
    const { store } = await openStore(disk);
    const { stored, code } = await submitUntilFull(store);
    expect(code).toBe('STORAGE_FULL');
    expect((await store.counts()).queued).toBe(stored.length);
    expect((await store.get('task-0001'))?.prompt.length).toBe(100_000);
    rmSync(join(disk, 'ballast'));
    expect(await codeOf(store.submit([newTask()]))).toBe('no error');
    await store[Symbol.asyncDispose]();
    const again = await openStore(disk);
    expect(again.damaged).toBe(null);
    expect((await again.store.counts()).queued).toBe(stored.length + 1);
    await again.store[Symbol.asyncDispose]();
  });

  it.skipIf(!isRoot)('is named when the store cannot even be made', async ({ skip }) => {
    const disk = smallDisk();
    if (disk === '') skip('this container may not mount');
    try {
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(10_000_000));
    } catch {
      // Full is what it is meant to be.
    }
    expect(await codeOf(openStore(disk))).toBe('STORAGE_FULL');
  });
});
