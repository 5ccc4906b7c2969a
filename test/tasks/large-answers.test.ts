import { expect, it, onTestFinished } from 'vitest';
import type { NewTask } from '#aiwgd/tasks/task-store.js';
import { openStore, temporaryFolder } from './open-store.js';

function newTask(prompt: string): NewTask {
  return {
    prompt,
    agent: null,
    priority: 0,
    timeoutMs: null,
    key: null,
    runAt: null,
    waitReason: null,
    maxAttempts: 3,
    retries: 0,
    cwd: null,
    metadata: {},
    source: 'rpc',
    ruleId: null,
    causedBy: null,
  };
}

it('many lists of long prompts at once are all answered, without all of them in memory', async () => {
  const { store } = await openStore(temporaryFolder());
  await store.submit([newTask('a'.repeat(3_000_000))]);
  await store.submit([newTask('b'.repeat(3_000_000))]);
  let most = 0;
  const before = process.memoryUsage.rss();
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss() - before);
  }, 5);
  onTestFinished(() => clearInterval(timer));
  const lists = Array.from({ length: 300 }, async () => (await store.list({ limit: 10 })).tasks.length);
  const id = store.submit([newTask('in between')]);
  expect(new Set(await Promise.all(lists))).toEqual(new Set([1]));
  expect((await id)[0]?.id).toBe('task-0003');
  expect(most / 1024 / 1024).toBeLessThan(400);
});
