import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { Log } from '#aiwgd/platform/log.js';
import { OutputFiles } from '#aiwgd/tasks/output-files.js';
import { Retention } from '#aiwgd/tasks/retention.js';
import { charge, DONE, FakeClock, MemoryTaskStore, newTask } from '#aiwgd/testing/index.js';
import { noLog, temporaryFolder } from './open-store.js';

const DAY_MS = 86_400_000;

async function setUp(count: number, days: number, warn: Log['warn'] = () => {}) {
  const clock = new FakeClock();
  const store = new MemoryTaskStore(clock);
  const files = new OutputFiles({ actionsDir: join(temporaryFolder(), 'actions') });
  const submitted = await store.submit(Array.from({ length: count }, () => newTask()));
  const { folder } = files.paths('task-0001', 1);
  mkdirSync(folder, { recursive: true });
  for (const { id } of submitted) await store.requestCancel(id);
  const start = (): Retention => new Retention({ store, files, clock, days, log: { ...noLog, warn } });
  const left = async (): Promise<number> => (await store.counts()).total;
  return { clock, store, folder, start, left };
}

it('forgets what ended long ago, with its files, in slices and then every hour', async () => {
  const { clock, folder, start, left } = await setUp(120, 30);
  clock.advance(30 * DAY_MS - 1000);
  await using closing = { retention: start(), [Symbol.asyncDispose]: () => closing.retention.close() };
  clock.advance(0);
  await vi.waitFor(() => expect(clock.pending).toBe(1));
  expect(await left()).toBe(120);
  clock.advance(3_600_000);
  await vi.waitFor(() => expect(clock.pending).toBe(1));
  expect(await left()).toBe(70);
  expect(existsSync(folder)).toBe(false);
  clock.advance(250);
  await vi.waitFor(() => expect(clock.pending).toBe(1));
  clock.advance(250);
  await vi.waitFor(async () => expect(await left()).toBe(0));
});

it('applies a new limit at once, and does nothing after it was closed', async () => {
  const { clock, start, left, store } = await setUp(3, 30);
  const retention = start();
  clock.advance(2 * DAY_MS);
  await vi.waitFor(() => expect(clock.pending).toBe(1));
  expect(await left()).toBe(3);
  retention.setDays(1);
  clock.advance(0);
  await vi.waitFor(async () => expect(await left()).toBe(0));
  await retention.close();
  expect(clock.pending).toBe(0);
  await store.submit([newTask()]);
  retention.setDays(0);
  expect(clock.pending).toBe(0);
});

it('removes the files of a task before it forgets the task, so that none are left when it is cut off', async () => {
  const { clock, folder, start, store } = await setUp(3, 30);
  clock.advance(31 * DAY_MS);
  const forgotten: string[][] = [];
  store.forget = async (ids) => {
    expect(existsSync(folder)).toBe(false);
    forgotten.push([...ids]);
    throw new Error('killed here');
  };
  await using closing = { retention: start(), [Symbol.asyncDispose]: () => closing.retention.close() };
  clock.advance(0);
  await vi.waitFor(() => expect(forgotten).toEqual([['task-0001', 'task-0002', 'task-0003']]));
});

it('forgets the others where one folder cannot be removed, and says which', async ({ skip }) => {
  const warned: object[] = [];
  const { clock, folder, start, left } = await setUp(3, 30, (fields) => warned.push(fields));
  try {
    execFileSync('chattr', ['+i', folder], { stdio: 'ignore' });
  } catch {
    skip('chattr +i needs root, and a file system that knows it');
  }
  onTestFinished(() => void execFileSync('chattr', ['-i', folder]));
  clock.advance(31 * DAY_MS);
  await using closing = { retention: start(), [Symbol.asyncDispose]: () => closing.retention.close() };
  clock.advance(0);
  await vi.waitFor(async () => expect(await left()).toBe(0));
  expect(warned).toMatchObject([{ taskId: 'task-0001' }]);
});

it('takes away what attempts cost after 400 days, also where no task is left', async () => {
  const { clock, store, start, left } = await setUp(0, 30);
  await store.submit([newTask()]);
  const [claim] = await store.claim({ owner: 'me', limit: 1, leaseMs: 1000 });
  await store.finish(claim?.token ?? '', { ...DONE, charge: charge() });
  await using closing = { retention: start(), [Symbol.asyncDispose]: () => closing.retention.close() };
  const charges = async (): Promise<number> => (await store.spend({ since: 0, by: 'task', limit: 9 })).length;
  const sweepUntil = (done: () => Promise<void>): Promise<void> =>
    vi.waitFor(async () => {
      clock.advance(3_600_000);
      await done();
    });
  clock.advance(399 * DAY_MS);
  await sweepUntil(async () => expect(await left()).toBe(0));
  expect(await charges()).toBe(1);
  clock.advance(DAY_MS);
  await sweepUntil(async () => expect(await charges()).toBe(0));
});
