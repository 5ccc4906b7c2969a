import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import type { Worktrees } from '#aiwgd/worktrees/worktrees.js';
import { until } from '../support/temp.js';
import { Repository } from './repository.js';

async function refused({ worktrees }: { worktrees: Worktrees }): Promise<AiwgdError> {
  const error = await worktrees.merge({ owner: 'task-0001', prompt: 'x' }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AiwgdError) return error;
  throw new Error(`refused with ${String(error)}`);
}

/** All that a merge could disturb in the project's checkout. */
function stateOf(repo: Repository): string[] {
  return [
    repo.git('rev-parse', 'HEAD'),
    repo.git('status', '--porcelain'),
    repo.git('ls-files', '--stage'),
    repo.git('stash', 'list'),
    repo.read('a.txt'),
  ];
}

/** As a git from before 2.38, for whom opens worktrees from now on. */
function useOldGit(repo: Repository): void {
  const old = join(repo.base, 'old');
  mkdirSync(old);
  const real = repo.git('--exec-path');
  writeFileSync(
    join(old, 'git'),
    `#!/bin/sh\ncase " $* " in *" merge-tree "*) exit 129;; esac\nexec "${real}/git" "$@"\n`,
    { mode: 0o755 },
  );
  repo.env['PATH'] = `${old}:${repo.env['PATH']}`;
}

test('a merge commits the rest, is a merge commit of the user’s, and the diff stays the same', async () => {
  const repo = new Repository();
  const folder = await repo.withCommit();
  writeFileSync(join(folder, 'rest.txt'), 'rest\n');
  repo.write('mine.txt', 'untracked in the project');
  const before = await repo.worktrees.diff('task-0001');
  const prompt = '\n-F --amend $(touch x) \u001b[31mred\nsecond line';
  const answer = await repo.worktrees.merge({ owner: 'task-0001', prompt });
  expect(answer).toEqual({
    taskId: 'task-0001',
    merged: true,
    commit: repo.git('rev-parse', 'main'),
    files: ['new.txt', 'rest.txt'],
  });
  expect(repo.read('rest.txt')).toBe('rest\n');
  expect(repo.git('log', '-1', '--format=%s|%an|%ce|%p').split('|')).toMatchObject([
    'Merge aiwg/task-0001',
    'Ann',
    'ann@example.com',
    expect.stringContaining(' '),
  ]);
  expect(repo.git('log', '-1', '--format=%s', 'aiwg/task-0001')).toBe(
    'task-0001: -F --amend $(touch x) ␛[31mred',
  );
  expect(repo.gitIn(folder, 'status', '--porcelain')).toBe('');
  expect(await repo.worktrees.diff('task-0001')).toEqual(before);
  expect(await repo.worktrees.merge({ owner: 'task-0001', prompt })).toEqual({
    taskId: 'task-0001',
    merged: false,
    commit: null,
    files: [],
  });
  // Also without worktree and branch.
  rmSync(folder, { recursive: true });
  expect(await repo.worktrees.diff('task-0001')).toEqual(before);
  repo.git('worktree', 'prune');
  repo.git('branch', '--quiet', '-D', 'aiwg/task-0001');
  expect(await repo.worktrees.diff('task-0001')).toEqual(before);
  expect(await repo.keptBecause()).toBeNull();
  await expect(repo.worktrees.diff('task-0001')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a conflict names the files and leaves everything as it was', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'a.txt'), 'theirs\n');
  repo.write('a.txt', 'ours\n');
  repo.git('commit', '--quiet', '--all', '-m', 'ours');
  repo.write('mine.txt', 'mine');
  const before = stateOf(repo);
  const error = await refused(repo);
  expect(error).toMatchObject({ code: 'CONFLICT', data: { taskId: 'task-0001', files: ['a.txt'] } });
  expect(error.message).toContain('git merge aiwg/task-0001');
  expect(stateOf(repo)).toEqual(before);
  expect(repo.has('.git/MERGE_HEAD')).toBe(false);
  expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('theirs\n');
  expect(repo.gitIn(folder, 'log', '-1', '--format=%s')).toBe('task-0001: x');
});

test('where git cannot foresee a conflict, the merge is taken back', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'a.txt'), 'theirs\n');
  repo.write('a.txt', 'ours\n');
  repo.git('commit', '--quiet', '--all', '-m', 'ours');
  const before = stateOf(repo);
  useOldGit(repo);
  const merge = repo.open().merge({ owner: 'task-0001', prompt: 'x' });
  await expect(merge).rejects.toMatchObject({ code: 'CONFLICT', data: { files: ['a.txt'] } });
  expect(stateOf(repo)).toEqual(before);
  expect(repo.has('.git/MERGE_HEAD')).toBe(false);
});

test('a merge is refused where it would overwrite what is not committed', async () => {
  const repo = new Repository();
  await repo.withCommit('task-0001', 'new.txt');
  repo.write('new.txt', 'mine\n');
  const before = stateOf(repo);
  expect((await refused(repo)).message).toMatch(/would be overwritten by merge:\s+new.txt/u);
  expect(stateOf(repo)).toEqual(before);
  expect(repo.read('new.txt')).toBe('mine\n');
});

const IN_THE_WAY: [what: string, theirs: string, mine: string, linked?: boolean][] = [
  ['an ignored file', 'notes/plan.md', 'notes/plan.md'],
  ['an ignored file in the place of a folder', 'notes/plan.md', 'notes'],
  ['an ignored folder in the place of a file', 'notes', 'notes/deep/plan.md'],
  ['an ignored link in the place of a folder', 'notes/plan.md', 'notes', true],
];
test.each(IN_THE_WAY)('a merge does not overwrite %s', async (_, theirs, mine, linked = false) => {
  for (const old of [false, true]) {
    const repo = new Repository();
    if (old) useOldGit(repo);
    // In no commit: what git ignores here, it does not ignore in the worktree.
    repo.write('.git/info/exclude', '/notes\n');
    const folder = await repo.prepare();
    mkdirSync(join(folder, theirs, '..'), { recursive: true });
    writeFileSync(join(folder, theirs), 'theirs\n');
    repo.gitIn(folder, 'add', '--force', theirs);
    repo.gitIn(folder, 'commit', '--quiet', '-m', 'notes');
    repo.write(linked ? 'else/plan.md' : mine, 'mine\n');
    if (linked) symlinkSync('else', join(repo.top, mine));
    const before = stateOf(repo);
    const error = await refused({ worktrees: repo.open() });
    expect(error).toMatchObject({ code: 'CONFLICT' });
    expect(error.message).toContain(`would be overwritten by merge: ${mine}.`);
    expect(stateOf(repo)).toEqual(before);
    expect(repo.read(linked ? 'notes/plan.md' : mine)).toBe('mine\n');
  }
});

test('what a task turned from a file into a folder, and a folder with tracked files only, is merged', async () => {
  const repo = new Repository({ files: { 'a.txt': 'one\n', 'folder/b.txt': 'b\n' } });
  const folder = await repo.prepare();
  rmSync(join(folder, 'a.txt'));
  mkdirSync(join(folder, 'a.txt'));
  writeFileSync(join(folder, 'a.txt/c.txt'), 'c\n');
  rmSync(join(folder, 'folder'), { recursive: true });
  writeFileSync(join(folder, 'folder'), 'a file now\n');
  const { files } = await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' });
  expect(files).toEqual(['a.txt', 'a.txt/c.txt', 'folder', 'folder/b.txt']);
  expect(repo.read('a.txt/c.txt')).toBe('c\n');
});

const REFUSALS: [what: string, make: (repo: Repository, folder: string) => void, why: string][] = [
  [
    'a task is at work',
    (repo) => repo.inUse.set('task-0001', 'task-0001 is running'),
    'task-0001 is running',
  ],
  ['the project is on no branch', (repo) => repo.git('checkout', '--quiet', '--detach'), 'detached HEAD'],
  ['the project is in a bisect', (repo) => repo.git('bisect', 'start'), 'a bisect is in progress'],
  [
    'the worktree is on another branch',
    (repo, folder) => repo.gitIn(folder, 'checkout', '--quiet', '-b', 'else'),
    'on refs/heads/else, not on aiwg/task-0001',
  ],
  [
    'the branch of the task is another name of main',
    (repo) => repo.git('symbolic-ref', 'refs/heads/aiwg/task-0001', 'refs/heads/main'),
    'on refs/heads/main, not on aiwg/task-0001',
  ],
  [
    'the branch of the task is checked out in the project too',
    (repo) => repo.git('checkout', '--quiet', '--ignore-other-worktrees', 'aiwg/task-0001'),
    'aiwg/task-0001 is checked out in /',
  ],
  [
    'the worktree is in a bisect',
    (repo, folder) => repo.gitIn(folder, 'bisect', 'start'),
    'a bisect is in progress',
  ],
  [
    'git does not know who commits',
    (repo) => rmSync(join(repo.base, 'home/.gitconfig')),
    'git config --global user.email',
  ],
];
test.each(REFUSALS)('a merge is refused where %s', async (_, make, why) => {
  const repo = new Repository();
  const folder = await repo.withCommit();
  writeFileSync(join(folder, 'rest.txt'), 'rest\n');
  make(repo, folder);
  const before = stateOf(repo);
  const tip = repo.git('rev-parse', 'aiwg/task-0001');
  expect(await refused(repo)).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(why) });
  expect(stateOf(repo)).toEqual(before);
  expect(repo.git('rev-parse', 'aiwg/task-0001')).toBe(tip);
});

test('a task without a worktree has no diff and no merge', async () => {
  const repo = new Repository();
  await expect(repo.worktrees.diff('task-0001')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused(repo)).toMatchObject({ code: 'NOT_FOUND' });
  await repo.prepare();
  expect(await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).toMatchObject({ merged: false });
});

test.each([false, true])(
  'a merge is committed and not signed, whatever the settings are (old git: %s)',
  async (old) => {
    const repo = new Repository();
    await repo.withCommit();
    if (old) useOldGit(repo);
    repo.git('config', 'branch.main.mergeOptions', '--no-commit --squash --ff-only');
    repo.git('config', 'commit.gpgSign', 'true');
    repo.git('config', 'gpg.program', 'false');
    const { commit, files } = await repo.open().merge({ owner: 'task-0001', prompt: 'x' });
    expect(files).toEqual(['new.txt']);
    expect(repo.git('rev-parse', 'HEAD', 'HEAD^2').split('\n')).toEqual([
      commit,
      repo.git('rev-parse', 'aiwg/task-0001'),
    ]);
    expect(repo.has('.git/MERGE_HEAD')).toBe(false);
  },
);

test('a merge that finds the index locked changes nothing, also where it is locked in the last moment', async () => {
  const repo = new Repository();
  await repo.withCommit();
  const before = stateOf(repo);
  repo.write('.git/index.lock', '');
  expect((await refused(repo)).message).toContain('git is at work in');
  rmSync(join(repo.top, '.git/index.lock'));
  const locking = join(repo.base, 'locking');
  mkdirSync(locking);
  const real = `${repo.git('--exec-path')}/git`;
  writeFileSync(
    join(locking, 'git'),
    `#!/bin/sh\ncase " $* " in *" merge --quiet "*) touch .git/index.lock;; esac\nexec "${real}" "$@"\n`,
    { mode: 0o755 },
  );
  const path = repo.env['PATH'];
  repo.env['PATH'] = `${locking}:${path}`;
  expect((await refused({ worktrees: repo.open() })).message).toContain('index.lock');
  repo.env['PATH'] = path!;
  rmSync(join(repo.top, '.git/index.lock'));
  expect(stateOf(repo)).toEqual(before);
  expect(repo.has('.git/MERGE_HEAD')).toBe(false);
  expect((await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).files).toEqual(['new.txt']);
});

const BEGUN: [what: string, branch: string, old: boolean][] = [
  ['of another branch', 'feature', false],
  ['of another branch', 'feature', true],
  ['of the same one', 'aiwg/task-0001', true],
];
test.each(BEGUN)('a merge that a person begins meanwhile, %s, is left alone', async (_, branch, old) => {
  const repo = new Repository();
  if (old) useOldGit(repo);
  repo.git('checkout', '--quiet', '-b', 'feature');
  repo.write('a.txt', 'feature\n');
  repo.git('commit', '--quiet', '--all', '-m', 'feature');
  repo.git('checkout', '--quiet', 'main');
  await repo.withCommit();
  // Where the daemon begins its own, the person is faster.
  const faster = join(repo.base, 'faster');
  mkdirSync(faster);
  const real = `${repo.git('--exec-path')}/git`;
  const person = `"${real}" merge --no-ff --no-commit ${branch} && echo mine > a.txt && "${real}" add a.txt`;
  writeFileSync(
    join(faster, 'git'),
    `#!/bin/sh\ncase " $* " in *" merge --quiet "*) (${person}) >/dev/null 2>&1;; esac\nPATH=$\{PATH#*:}\nexec git "$@"\n`,
    { mode: 0o755 },
  );
  repo.env['PATH'] = `${faster}:${repo.env['PATH']}`;
  const { message } = await refused({ worktrees: repo.open() });
  expect(message).toContain('You have not concluded your merge');
  expect(repo.read('.git/MERGE_HEAD').trim()).toBe(repo.git('rev-parse', branch));
  expect(repo.git('show', ':a.txt')).toBe('mine');
});

test('a merge is refused where a person began one while the rest was committed', async () => {
  const repo = new Repository({ files: { 'a.txt': 'one\n', '.gitattributes': '*.slow filter=slow\n' } });
  const folder = await repo.prepare();
  repo.git('branch', 'feature', repo.git('commit-tree', 'main^{tree}', '-p', 'main', '-m', 'feature'));
  repo.git(
    'config',
    'filter.slow.clean',
    `cd ${repo.top} && env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE git merge --quiet --no-ff --no-commit feature; cat`,
  );
  writeFileSync(join(folder, 'rest.slow'), 'rest\n');
  expect((await refused(repo)).message).toContain('a merge is in progress');
  expect(repo.read('.git/MERGE_HEAD').trim()).toBe(repo.git('rev-parse', 'feature'));
});

test('a merge that has begun is let finish when the daemon stops', async () => {
  const repo = new Repository({ files: { 'a.txt': 'one\n', '.gitattributes': '*.slow filter=slow\n' } });
  await repo.withCommit('task-0001', 'new.slow');
  const begun = join(repo.base, 'begun');
  const go = join(repo.base, 'go');
  repo.git('config', 'filter.slow.smudge', `touch ${begun}; while [ ! -e ${go} ]; do sleep 0.02; done; cat`);
  const merging = repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' }).catch(String);
  await until('git is at work in the project', () => existsSync(begun));
  repo.worktrees.close();
  writeFileSync(go, '');
  await merging;
  expect(repo.git('log', '-1', '--format=%s')).toBe('Merge aiwg/task-0001');
  expect(repo.git('status', '--porcelain')).toBe('');
  expect(repo.has('.git/MERGE_HEAD')).toBe(false);
});
