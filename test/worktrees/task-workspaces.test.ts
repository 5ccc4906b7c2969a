import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TaskWorkspaces } from '#aiwgd/daemon/task-workspaces.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { NewTask, Outcome, TaskStore } from '#aiwgd/tasks/task-store.js';
import { openStore, temporaryFolder } from '../tasks/open-store.js';
import { PLAIN, Repository } from './repository.js';

const TASK: NewTask = {
  prompt: 'work',
  agent: 'claude',
  priority: 5,
  timeoutMs: null,
  key: null,
  once: null,
  runAt: null,
  waitReason: null,
  maxAttempts: 3,
  retries: 0,
  cwd: null,
  metadata: {},
  source: 'cli',
  ruleId: null,
  causedBy: null,
  launch: null,
  conversation: null,
  resumes: null,
};
const DONE: Outcome = {
  state: 'completed',
  result: null,
  error: null,
  exitCode: 0,
  signal: null,
  sessionId: null,
  costUsd: null,
  usage: null,
  outputBytes: 0,
  charge: null,
};

function workspacesOf(repo: Repository, store: TaskStore): TaskWorkspaces {
  const workspaces = new TaskWorkspaces({
    project: repo.project,
    clock: systemClock,
    environment: repo.env,
    store,
  });
  onTestFinished(() => workspaces.close());
  return workspaces;
}

async function begin(store: TaskStore) {
  const [claim] = await store.claim({ owner: 'daemon', leaseMs: 60_000, limit: 1 });
  if (claim === undefined) throw new Error('nothing is ready');
  return claim;
}

test('the worktree of a conversation is in use also where its first task was forgotten', async () => {
  const repo = new Repository();
  const { store } = await openStore(temporaryFolder());
  const workspaces = workspacesOf(repo, store);
  const say = async () => {
    await store.submit([{ ...TASK, conversation: 'c' }]);
    const { task, token, past } = await begin(store);
    const owner = past?.root ?? task.id;
    const { folder } = await workspaces.prepare({
      owner,
      conversation: task.conversation,
      cwd: null,
      options: PLAIN,
    });
    return { id: task.id, token, folder };
  };
  const first = await say();
  await store.finish(first.token, DONE);
  const second = await say();
  expect(second.folder).toBe(first.folder);
  expect(await store.forget([first.id])).toBe(1);
  expect(await workspaces.list()).toMatchObject([{ inUse: true, why: `${second.id} is running` }]);
  expect((await workspaces.prune({})).removed).toEqual([]);
  await expect(workspaces.merge(second.id)).rejects.toThrow(`${second.id} is running`);
  expect(existsSync(join(second.folder, 'a.txt'))).toBe(true);
  writeFileSync(join(second.folder, 'new.txt'), 'new\n');
  expect((await workspaces.diff(second.id)).files.map(({ path }) => path)).toEqual(['new.txt']);
});

test('where ids began anew, a task has neither the diff nor the merge of the earlier one', async () => {
  const repo = new Repository();
  const { store } = await openStore(temporaryFolder());
  const request = { owner: 'task-0001', conversation: null, cwd: null, options: PLAIN };
  const earlier = { ...request, createdAt: '2026-01-01T00:00:00.000Z' };
  const { folder } = await repo.worktrees.prepare(earlier);
  writeFileSync(join(folder, 'new.txt'), 'new\n');
  await store.submit([TASK]);
  const { task, token } = await begin(store);
  await store.finish(token, DONE);
  expect(task.id).toBe('task-0001');
  const workspaces = workspacesOf(repo, store);
  await expect(workspaces.diff('task-0001')).rejects.toThrow('an earlier task of this id');
  await expect(workspaces.merge('task-0001')).rejects.toThrow('an earlier task of this id');
  expect(repo.has('new.txt')).toBe(false);
  expect((await workspaces.prune({ taskIds: ['task-0001'] })).kept).toMatchObject([
    { why: 'uncommitted changes: new.txt' },
  ]);
});
