import { expect, it, onTestFinished } from 'vitest';
import { newTask } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

it('many lists of long prompts at once are all answered, without all of them in memory', async () => {
  const { store } = await openStore(temporaryFolder());
  await store.submit([newTask({ prompt: 'a'.repeat(3_000_000) })]);
  await store.submit([newTask({ prompt: 'b'.repeat(3_000_000) })]);
  let most = 0;
  const before = process.memoryUsage.rss();
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss() - before);
  }, 5);
  onTestFinished(() => clearInterval(timer));
  const lists = Array.from({ length: 300 }, async () => (await store.list({ limit: 10 })).tasks.length);
  const id = store.submit([newTask({ prompt: 'in between' })]);
  expect(new Set(await Promise.all(lists))).toEqual(new Set([1]));
  expect((await id)[0]?.id).toBe('task-0003');
  expect(most / 1024 / 1024).toBeLessThan(400);
});
