import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Repository } from './repository.js';

const IGNORES = { '.gitignore': '.env\nbuild/\n', 'a.txt': 'one\n' };

test('nothing that is not committed is copied unless it is asked for', async () => {
  const repo = new Repository({ files: IGNORES });
  repo.write('notes.txt', 'mine');
  repo.write('.env', 'SECRET=1');
  const folder = await repo.prepare();
  expect(readdirSync(folder).toSorted()).toEqual(['.git', '.gitignore', 'a.txt']);
});

test('untracked files are copied, ignored ones only by a glob, and none of the daemon’s own', async () => {
  const repo = new Repository({ files: IGNORES });
  repo.write('deep/er/notes.txt', 'mine');
  repo.write('.env', 'SECRET=1');
  chmodSync(join(repo.top, '.env'), 0o600);
  repo.write('build/out.bin', 'x');
  repo.write('build/sub/more.bin', 'y');
  repo.write('.aiwg/daemon.pid', '1');
  repo.write('.aiwg/daemon/tasks.db', 'db');
  mkdirSync(join(repo.top, 'inner'));
  repo.gitIn(join(repo.top, 'inner'), 'init', '--quiet');
  const folder = await repo.prepare('task-0001', { untracked: 'copy', copy: ['.env', 'build', '.aiwg/**'] });
  expect(readFileSync(join(folder, 'deep/er/notes.txt'), 'utf8')).toBe('mine');
  expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'build')).toSorted()).toEqual(['out.bin', 'sub']);
  expect(existsSync(join(folder, '.aiwg'))).toBe(false);
  expect(existsSync(join(folder, 'inner'))).toBe(false);
  expect(await repo.seen()).toMatchObject({ state: 'clean', changedFiles: 0, why: null });
  expect((await repo.worktrees.diff('task-0001')).files).toEqual([]);
  expect((await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).merged).toBe(false);
  expect(await repo.keptBecause()).toBeNull();
});

test('copied files that were changed are kept, ignored ones too', async () => {
  const repo = new Repository({ files: IGNORES });
  repo.write('.env', 'SECRET=1');
  repo.write('notes.txt', 'mine');
  const folder = await repo.prepare('task-0001', { untracked: 'copy', copy: ['.env'] });
  writeFileSync(join(folder, '.env'), 'SECRET=2');
  expect(await repo.keptBecause()).toBe('copied files were changed: .env');
  writeFileSync(join(folder, '.env'), 'SECRET=1');
  writeFileSync(join(folder, 'notes.txt'), 'changed');
  expect(await repo.keptBecause()).toBe('uncommitted changes: notes.txt');
  rmSync(join(folder, 'notes.txt'));
  expect(await repo.keptBecause()).toBeNull();
  expect(repo.read('.env')).toBe('SECRET=1');
});

test('copies are put back where git refuses to remove the worktree', async () => {
  const repo = new Repository();
  repo.write('notes.txt', 'mine');
  const folder = await repo.prepare('task-0001', { untracked: 'copy' });
  const late = join(folder, 'late.txt');
  repo.beforeRemoval = { asked: 2, act: () => writeFileSync(late, 'late') };
  expect(await repo.keptBecause()).toContain('contains modified or untracked files');
  expect(readFileSync(late, 'utf8')).toBe('late');
  expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  rmSync(late);
  expect(await repo.keptBecause()).toBeNull();
  expect(readdirSync(join(repo.top, '.aiwg/working'))).toEqual(['.gitignore']);
});

test('links are copied as links, and only where they stay inside', async () => {
  const repo = new Repository();
  writeFileSync(join(repo.base, 'secret'), 'secret');
  repo.write('dir/file.txt', 'x');
  symlinkSync('file.txt', join(repo.top, 'dir/inside'));
  symlinkSync('../../secret', join(repo.top, 'dir/relative'));
  symlinkSync(join(repo.base, 'secret'), join(repo.top, 'dir/absolute'));
  symlinkSync(repo.base, join(repo.top, 'folder'));
  const folder = await repo.prepare('task-0001', { untracked: 'copy' });
  expect(readdirSync(join(folder, 'dir')).toSorted()).toEqual(['file.txt', 'inside']);
  expect(readlinkSync(join(folder, 'dir/inside'))).toBe('file.txt');
  expect(existsSync(join(folder, 'folder'))).toBe(false);
  expect(await repo.keptBecause()).toBeNull();
});

test('nothing is written through a link that the commit has where the project has a folder', async () => {
  const repo = new Repository();
  const outside = join(repo.base, 'outside');
  mkdirSync(outside);
  symlinkSync(outside, join(repo.top, 'dir'));
  repo.git('add', '.');
  repo.git('commit', '--quiet', '-m', 'a link');
  rmSync(join(repo.top, 'dir'));
  repo.write('dir/file.txt', 'x');
  await repo.prepare('task-0001', { untracked: 'copy' });
  expect(readdirSync(outside)).toEqual([]);
});

test('names with blanks, newlines, dashes, and bytes that are no text are copied, compared and merged', async () => {
  const repo = new Repository();
  const names = ['-rf', ' blank ', 'new\nline', ':(top)x', 'ü', '"quote"', '*'];
  for (const name of names) repo.write(name, 'x\n');
  const bytes = Buffer.concat([Buffer.from(`${repo.top}/`), Buffer.from([0xff, 0xfe, 0x61])]);
  writeFileSync(bytes, 'y\n');
  const folder = await repo.prepare('task-0001', { untracked: 'copy', copy: ['**'] });
  expect(readdirSync(folder)).toHaveLength(names.length + 3);
  expect((await repo.worktrees.diff('task-0001')).files).toEqual([]);
  for (const name of names) writeFileSync(join(folder, name), 'changed\n');
  expect((await repo.worktrees.diff('task-0001')).files.map(({ path }) => path).toSorted()).toEqual(
    names.toSorted(),
  );
  for (const name of names) rmSync(join(repo.top, name));
  const { files } = await repo.worktrees.merge({ owner: 'task-0001', prompt: 'odd names' });
  expect(files.toSorted()).toEqual(names.toSorted());
  expect(await repo.keptBecause()).toBeNull();
  expect(readFileSync(bytes, 'utf8')).toBe('y\n');
});

test('too much to copy is refused, and nothing is left of the worktree', async () => {
  const repo = new Repository();
  repo.write('big.bin', '');
  truncateSync(join(repo.top, 'big.bin'), 1024 ** 3 + 1);
  await expect(repo.prepare('task-0001', { untracked: 'copy' })).rejects.toThrow('more than 1 GiB');
  rmSync(join(repo.top, 'big.bin'));
  for (let index = 0; index <= 10_000; index += 1) repo.write(`many/${index}`, '');
  await expect(repo.prepare('task-0001', { untracked: 'copy' })).rejects.toThrow('10001 files');
  expect(repo.branches()).toEqual(['main']);
  expect(readdirSync(join(repo.top, '.aiwg/working'))).toEqual(['.gitignore']);
}, 30_000);
