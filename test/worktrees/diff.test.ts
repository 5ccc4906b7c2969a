import { rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Repository } from './repository.js';

test('a diff has commits, changes and untracked files, and leaves the index of the worktree alone', async () => {
  const repo = new Repository({ files: { 'a.txt': 'one\n', 'b.txt': 'b\n', 'c.txt': 'c\n' } });
  const folder = await repo.withCommit('task-0001', 'committed.txt');
  writeFileSync(join(folder, 'a.txt'), 'two\n');
  writeFileSync(join(folder, 'staged.txt'), 'staged\n');
  repo.gitIn(folder, 'add', 'staged.txt');
  writeFileSync(join(folder, 'untracked.bin'), Buffer.from([0, 1, 2]));
  unlinkSync(join(folder, 'b.txt'));
  const status = repo.gitIn(folder, 'status', '--porcelain');
  const objects = repo.git('count-objects');
  const { files, diff, truncated, base, branch, notes } = await repo.worktrees.diff('task-0001');
  expect(files).toEqual([
    { path: 'a.txt', status: 'modified', added: 1, removed: 1 },
    { path: 'b.txt', status: 'deleted', added: 0, removed: 1 },
    { path: 'committed.txt', status: 'added', added: 1, removed: 0 },
    { path: 'staged.txt', status: 'added', added: 1, removed: 0 },
    { path: 'untracked.bin', status: 'added', added: null, removed: null },
  ]);
  expect(diff).toContain('-one\n+two\n');
  expect(diff).toContain('Binary files /dev/null and b/untracked.bin differ');
  expect({ truncated, base, branch, notes }).toEqual({
    truncated: false,
    base: repo.git('rev-parse', 'main'),
    branch: 'aiwg/task-0001',
    notes: `This diff cannot be applied elsewhere: it lacks binary files (untracked.bin). One of what is committed can: git diff --binary ${base} aiwg/task-0001`,
  });
  expect(repo.gitIn(folder, 'status', '--porcelain')).toBe(status);
  expect(repo.git('count-objects')).toBe(objects);
});

test('a diff of text that is not UTF-8 says that it cannot be applied, in any state of the task', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'plain.txt'), 'café\n');
  expect((await repo.worktrees.diff('task-0001')).notes).toBe('');
  writeFileSync(join(folder, 'latin-1.txt'), Buffer.from('caf\u00e9\n', 'latin1'));
  const { notes } = await repo.worktrees.diff('task-0001');
  expect(notes).toMatch(/cannot be applied elsewhere: it lacks text that is not UTF-8\..*git diff --binary/u);
  await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' });
  rmSync(folder, { recursive: true });
  expect((await repo.worktrees.diff('task-0001')).notes).toBe(notes);
});

test('a diff shows what git was told not to look at', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  repo.gitIn(folder, 'update-index', '--assume-unchanged', 'a.txt');
  writeFileSync(join(folder, 'a.txt'), 'two\n');
  expect((await repo.worktrees.diff('task-0001')).files).toMatchObject([{ path: 'a.txt', added: 1 }]);
});

test('a change of the same size, within the second of the commit, is seen and merged', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  const file = join(folder, 'a.txt');
  // All within one tick of a clock that knows whole seconds only, and the look at it later.
  const now = Math.floor(Date.now() / 1_000) - 10;
  repo.git('config', 'core.trustctime', 'false');
  writeFileSync(file, 'two\n');
  utimesSync(file, now, now);
  repo.gitIn(folder, 'commit', '--quiet', '--all', '-m', 'two');
  utimesSync(join(repo.top, '.git/worktrees/task-0001/index'), now, now);
  writeFileSync(file, 'six\n');
  utimesSync(file, now, now);
  expect((await repo.worktrees.diff('task-0001')).diff).toContain('-one\n+six\n');
  await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' });
  expect(repo.read('a.txt')).toBe('six\n');
});

test('the settings of the repository do not change how a diff looks', async () => {
  const repo = new Repository();
  for (const [key, value] of [
    ['diff.noprefix', 'true'],
    ['color.ui', 'always'],
    ['diff.relative', 'true'],
    ['diff.renames', 'copies'],
  ]) {
    repo.git('config', key!, value!);
  }
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'ü.txt'), 'x\n');
  expect((await repo.worktrees.diff('task-0001')).diff).toMatch(/^diff --git a\/ü.txt b\/ü.txt\n/u);
});

test('a diff that is too long is cut at a line and says so', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'big.txt'), `${'x'.repeat(99)}\n`.repeat(100_000));
  const { diff, truncated, files } = await repo.worktrees.diff('task-0001');
  expect(truncated).toBe(true);
  expect(files).toEqual([{ path: 'big.txt', status: 'added', added: 100_000, removed: 0 }]);
  expect(diff.length).toBeLessThan(8 * 1024 * 1024 + 500);
  expect(diff).toMatch(/\n\+x{99}\n\[cut here: .*git diff [0-9a-f]{40} aiwg\/task-0001\]\n$/u);
  writeFileSync(join(folder, 'big.txt'), '\u001b\n'.repeat(3_000_000));
  expect(Buffer.byteLength(JSON.stringify(await repo.worktrees.diff('task-0001')))).toBeLessThan(
    16 * 1024 * 1024,
  );
}, 60_000);
