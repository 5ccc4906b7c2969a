import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PLAIN, Repository } from './repository.js';

const LOCAL = ['-c', 'protocol.file.allow=always'];

/** A repository with a submodule, in which there is another. */
function nested(): Repository {
  const repo = new Repository();
  const make = (name: string): string => {
    const folder = join(repo.base, name);
    mkdirSync(folder);
    repo.gitIn(folder, 'init', '--quiet');
    writeFileSync(join(folder, `${name}.txt`), `${name}\n`);
    repo.gitIn(folder, 'add', '.');
    repo.gitIn(folder, 'commit', '--quiet', '-m', name);
    return folder;
  };
  const inner = make('inner');
  const outer = make('outer');
  repo.gitIn(outer, ...LOCAL, 'submodule', '--quiet', 'add', inner, 'in side');
  repo.gitIn(outer, 'commit', '--quiet', '-m', 'with inner');
  repo.git(...LOCAL, 'submodule', '--quiet', 'add', outer, 'lib/outer');
  repo.git(...LOCAL, 'submodule', '--quiet', 'update', '--init', '--recursive');
  repo.git('commit', '--quiet', '-m', 'with outer');
  // Nothing to fetch from: what the project has must do.
  rmSync(inner, { recursive: true });
  rmSync(outer, { recursive: true });
  return repo;
}

test('submodules are checked out from what the project has, those within them too', async () => {
  const repo = nested();
  const folder = await repo.prepare();
  expect(readFileSync(join(folder, 'lib/outer/outer.txt'), 'utf8')).toBe('outer\n');
  expect(readFileSync(join(folder, 'lib/outer/in side/inner.txt'), 'utf8')).toBe('inner\n');
  expect(repo.gitIn(folder, 'submodule', 'status', '--recursive')).not.toMatch(/^[-+U]/mu);
  expect(await repo.seen()).toMatchObject({ state: 'clean', why: null });
  const second = await repo.prepare('task-0002');
  expect(existsSync(join(second, 'lib/outer/in side/inner.txt'))).toBe(true);
  expect((await repo.worktrees.prune({})).removed).toEqual(['task-0001', 'task-0002']);
  expect(repo.git('status', '--porcelain')).toBe('');
  expect(repo.gitIn(join(repo.top, 'lib/outer/in side'), 'worktree', 'list').split('\n')).toHaveLength(1);
  expect(repo.gitIn(join(repo.top, 'lib/outer'), 'worktree', 'list').split('\n')).toHaveLength(1);
});

test('those of a project that was copied lead to the copy’s own repositories, and of one that was moved too', async () => {
  const repo = nested();
  const folder = await repo.prepare();
  const places = ['lib/outer', 'lib/outer/in side'];
  const commonDirs = (top: string): string[] =>
    places.map((place) =>
      repo.gitIn(join(top, place), 'rev-parse', '--path-format=absolute', '--git-common-dir'),
    );
  const before = commonDirs(folder);
  const copy = join(repo.base, 'copy');
  cpSync(repo.top, copy, { recursive: true, verbatimSymlinks: true });
  const request = { owner: 'task-0001', cwd: null, options: PLAIN };
  const { path } = await repo.open(copy).prepare(request);
  expect(commonDirs(path)).toEqual(before.map((dir) => dir.replace(repo.top, copy)));
  expect(commonDirs(folder)).toEqual(before);
  repo.gitIn(join(path, 'lib/outer'), 'commit', '--quiet', '--allow-empty', '-m', 'in the copy');
  expect(repo.gitIn(join(folder, 'lib/outer'), 'log', '-1', '--format=%s')).toBe('with inner');
  const moved = join(repo.base, 'moved');
  renameSync(repo.top, moved);
  const worktrees = repo.open(moved);
  const after = await worktrees.prepare(request);
  expect(commonDirs(after.path)).toEqual(before.map((dir) => dir.replace(repo.top, moved)));
  expect(await worktrees.prune({})).toEqual({ removed: ['task-0001'], kept: [] });
});

test('without them, and where the project has not checked them out, their folders are empty', async () => {
  const repo = nested();
  expect(readdirSync(join(await repo.prepare('task-0001', { submodules: false }), 'lib/outer'))).toEqual([]);
  repo.git('submodule', '--quiet', 'deinit', '--force', '--all');
  expect(readdirSync(join(await repo.prepare('task-0002'), 'lib/outer'))).toEqual([]);
  expect((await repo.worktrees.prune({})).removed).toEqual(['task-0001', 'task-0002']);
});

test('a commit that the project’s copy of a submodule lacks is a clear error', async () => {
  const repo = nested();
  repo.git('update-index', '--cacheinfo', `160000,${'1'.repeat(40)},lib/outer`);
  repo.git('commit', '--quiet', '-m', 'from elsewhere');
  await expect(repo.prepare()).rejects.toThrow(
    /submodule lib\/outer of the project does not have the commit 1+;.*git submodule update/u,
  );
  expect(repo.branches()).toEqual(['main']);
  expect(readdirSync(join(repo.top, '.aiwg/working'))).toEqual(['.gitignore']);
});

test('a submodule with changes, or with commits of its own, is kept and not merged', async () => {
  const repo = nested();
  const folder = await repo.prepare();
  const inner = join(folder, 'lib/outer/in side');
  writeFileSync(join(inner, 'new.txt'), 'new');
  expect(await repo.keptBecause()).toBe('uncommitted changes: lib/outer');
  repo.gitIn(inner, 'add', '.');
  repo.gitIn(inner, 'commit', '--quiet', '-m', 'inner work');
  expect(await repo.keptBecause()).toBe('uncommitted changes: lib/outer');
  const outer = join(folder, 'lib/outer');
  for (const at of [outer, folder]) {
    repo.gitIn(at, 'add', '.');
    repo.gitIn(at, 'commit', '--quiet', '-m', 'a new commit of the inner one');
  }
  repo.git('branch', 'other', 'aiwg/task-0001');
  expect(await repo.keptBecause()).toContain('submodule lib/outer has commits that no branch has');
  const merge = repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' });
  await expect(merge).rejects.toThrow('The submodule lib/outer has commits that no branch of it has');
  repo.gitIn(outer, 'branch', 'kept');
  expect(await repo.keptBecause()).toContain('submodule lib/outer/in side has commits');
  repo.gitIn(inner, 'branch', 'kept');
  expect((await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).files).toEqual(['lib/outer']);
  expect(await repo.keptBecause()).toBeNull();
});

const HIDDEN: [what: string, make: (repo: Repository, inner: string) => void, why: string][] = [
  [
    'a change that git was told not to look at',
    (repo, inner) => {
      repo.gitIn(inner, 'update-index', '--assume-unchanged', 'inner.txt');
      writeFileSync(join(inner, 'inner.txt'), 'hours of work\n');
    },
    'in the submodule lib/outer/in side inner.txt is hidden from git',
  ],
  ['a bisect', (repo, inner) => repo.gitIn(inner, 'bisect', 'start'), 'a bisect is in progress'],
  [
    'refs of its own',
    (repo, inner) => repo.gitIn(inner, 'update-ref', 'refs/worktree/kept', 'HEAD'),
    'the submodule lib/outer/in side has refs of its own',
  ],
];
test.each(HIDDEN)('%s in a submodule keeps the worktree', async (_, make, why) => {
  const repo = nested();
  const inner = join(await repo.prepare(), 'lib/outer/in side');
  make(repo, inner);
  expect((await repo.seen()).why).toContain(why);
  expect(await repo.keptBecause()).toContain(why);
  expect(existsSync(join(inner, 'inner.txt'))).toBe(true);
});

test('what is not committed in a submodule is told of, and not called merged', async () => {
  const repo = nested();
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'lib/outer/outer.txt'), 'changed\n');
  const { notes, files } = await repo.worktrees.diff('task-0001');
  expect([notes, files]).toEqual([
    'Not shown is what is not committed in the submodules themselves: lib/outer',
    [],
  ]);
  await expect(repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).rejects.toThrow(
    'have changes that are not committed in them: lib/outer',
  );
});

test.each(['lib/outer', 'lib/outer/in side'])(
  'a repository in the place of %s is not looked at',
  async (at) => {
    for (const submodules of [true, false]) {
      const repo = nested();
      const folder = await repo.prepare('task-0001', { submodules });
      const place = join(folder, submodules ? at : 'lib/outer');
      const ran = join(repo.base, 'ran');
      rmSync(join(place, '.git'), { force: true });
      repo.gitIn(place, 'init', '--quiet');
      writeFileSync(join(place, '.gitattributes'), '* filter=x\n');
      writeFileSync(join(place, 'x.txt'), 'x\n');
      repo.gitIn(place, 'add', '.');
      repo.gitIn(place, 'commit', '--quiet', '-m', 'x');
      repo.gitIn(place, 'config', 'filter.x.clean', `touch ${ran}; cat`);
      writeFileSync(join(place, 'x.txt'), 'y\n');
      expect(await repo.seen()).toMatchObject({
        state: 'dirty',
        why: expect.stringContaining('not looked at'),
      });
      expect(await repo.keptBecause()).toContain('not looked at');
      await expect(repo.worktrees.diff('task-0001')).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).rejects.toThrow(
        'not looked at',
      );
      expect(existsSync(ran)).toBe(false);
    }
  },
);

test('a submodule that a task adds or checks out itself is looked at', async () => {
  const repo = nested();
  const source = join(repo.base, 'source');
  repo.git('clone', '--quiet', join(repo.top, 'lib/outer'), source);
  const folder = await repo.prepare();
  repo.gitIn(folder, ...LOCAL, 'submodule', '--quiet', 'add', source, 'added');
  repo.gitIn(folder, 'commit', '--quiet', '-m', 'a submodule');
  expect((await repo.worktrees.diff('task-0001')).files.map(({ path }) => path)).toEqual([
    '.gitmodules',
    'added',
  ]);
  expect((await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).merged).toBe(true);
});

test('submodules are there again where git refuses to remove their worktree', async () => {
  const repo = nested();
  const folder = await repo.prepare();
  const late = join(folder, 'late.txt');
  repo.beforeRemoval = { asked: 2, act: () => writeFileSync(late, 'late') };
  expect(await repo.keptBecause()).toContain('contains modified or untracked files');
  rmSync(late);
  expect(existsSync(join(folder, 'lib/outer/in side/inner.txt'))).toBe(true);
  expect(await repo.keptBecause()).toBeNull();
});

test('a repository that a task made in its worktree is not merged as a submodule that nobody has', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  const own = join(folder, 'own');
  mkdirSync(own);
  repo.gitIn(own, 'init', '--quiet');
  writeFileSync(join(own, 'x.txt'), 'x');
  expect((await repo.worktrees.diff('task-0001')).notes).toContain('own');
  await expect(repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).rejects.toThrow('own');
  repo.gitIn(own, 'add', '.');
  repo.gitIn(own, 'commit', '--quiet', '-m', 'own');
  await expect(repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).rejects.toThrow('own in');
  repo.gitIn(folder, 'add', '.');
  repo.gitIn(folder, 'commit', '--quiet', '-m', 'with a repository');
  await expect(repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).rejects.toThrow(
    `submodule own in ${folder} does not lead to the project's repository of it`,
  );
});
