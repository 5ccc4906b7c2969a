import { cpSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PLAIN, Repository } from './repository.js';

test('a repository that was moved, with a worktree in it, goes on', async () => {
  const repo = new Repository();
  await repo.withCommit();
  const moved = join(repo.base, 'elsewhere');
  renameSync(repo.top, moved);
  const { folder } = await repo.open(moved).prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  expect(folder).toBe(join(moved, '.aiwg/working/task-0001'));
  expect(repo.gitIn(folder, 'log', '-1', '--format=%s')).toBe('work of task-0001');
});

test('a project that was copied, with a worktree in it, goes on without touching the original', async () => {
  const repo = new Repository();
  const folder = await repo.withCommit();
  const copy = join(repo.base, 'copy');
  cpSync(repo.top, copy, { recursive: true, verbatimSymlinks: true });
  const links = (top: string): string[] =>
    ['.aiwg/working/task-0001/.git', '.git/worktrees/task-0001/gitdir'].map((file) =>
      readFileSync(join(top, file), 'utf8').trim(),
    );
  const before = links(repo.top);
  const copied = repo.open(copy);
  expect((await copied.list())[0]?.why).toContain('git worktree repair would mix the two up');
  const second = await copied.prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  expect(second.path).toBe(join(copy, '.aiwg/working/task-0001'));
  expect(links(repo.top)).toEqual(before);
  expect(links(copy)).toEqual(before.map((line) => line.replace(repo.top, copy)));
  repo.gitIn(second.path, 'commit', '--quiet', '--allow-empty', '-m', 'work in the copy');
  expect(repo.git('log', '-1', '--format=%s', 'aiwg/task-0001')).toBe('work of task-0001');
  expect(repo.gitIn(copy, 'log', '-1', '--format=%s', 'aiwg/task-0001')).toBe('work in the copy');
  expect(await repo.prepare()).toBe(folder);
  expect(links(repo.top)).toEqual(before);
});

test('a copy of a linked worktree does not take the worktrees of its original over', async () => {
  const repo = new Repository();
  const linked = join(repo.base, 'linked');
  repo.git('worktree', 'add', '--quiet', linked);
  mkdirSync(join(linked, '.aiwg'));
  const { path } = await repo.open(linked).prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  const copy = join(repo.base, 'copy');
  cpSync(linked, copy, { recursive: true });
  const again = repo.open(copy).prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  await expect(again).rejects.toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining(`is a copy of the worktree ${path}`),
  });
  expect(repo.gitIn(path, 'rev-parse', '--show-toplevel')).toBe(path);
});
