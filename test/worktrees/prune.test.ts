import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Repository } from './repository.js';

describe('prune removes', () => {
  test('what is as it was made, with its branch and record', async () => {
    const repo = new Repository();
    await repo.prepare();
    expect(await repo.worktrees.prune({ dryRun: true })).toEqual({ removed: ['task-0001'], kept: [] });
    expect(repo.has('.aiwg/working/task-0001/a.txt')).toBe(true);
    expect(await repo.worktrees.prune({})).toEqual({ removed: ['task-0001'], kept: [] });
    expect(readdirSync(join(repo.top, '.aiwg/working'))).toEqual(['.gitignore']);
    expect(repo.branches()).toEqual(['main']);
    expect(repo.git('worktree', 'list').split('\n')).toHaveLength(1);
    expect(await repo.worktrees.prune({})).toEqual({ removed: [], kept: [] });
  });

  test('what was merged, by the daemon, by hand or into any other branch, or was pushed', async () => {
    const repo = new Repository();
    for (const owner of ['task-0001', 'task-0002', 'task-0003', 'task-0004'])
      await repo.withCommit(owner, owner);
    await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' });
    repo.git('merge', '--quiet', 'aiwg/task-0002');
    repo.git('branch', 'other', 'aiwg/task-0003');
    repo.git('update-ref', 'refs/remotes/origin/aiwg/task-0004', 'aiwg/task-0004');
    expect((await repo.worktrees.list()).map(({ state }) => state)).toEqual(Array(4).fill('merged'));
    expect((await repo.worktrees.prune({})).removed).toHaveLength(4);
    expect(repo.branches()).toEqual(['main', 'other']);
  });

  test('one in which a bare repository is a file of the project’s', async () => {
    const repo = new Repository();
    repo.git('init', '--quiet', '--bare', 'testdata/x.git');
    repo.write('testdata/x.git/refs/heads/.keep', '');
    repo.write('testdata/x.git/objects/.keep', '');
    repo.git('add', '.');
    repo.git('commit', '--quiet', '-m', 'a fixture');
    expect(existsSync(join(await repo.prepare(), 'testdata/x.git/objects'))).toBe(true);
    expect(await repo.keptBecause()).toBeNull();
  });

  test('ignored files along with it, and what is left where the folder is gone', async () => {
    const repo = new Repository({ files: { '.gitignore': 'build/\n' } });
    const folder = await repo.prepare();
    mkdirSync(join(folder, 'build'));
    writeFileSync(join(folder, 'build/x'), 'x');
    rmSync(await repo.prepare('task-0002'), { recursive: true });
    expect(await repo.seen('task-0002')).toMatchObject({ state: 'missing', why: null });
    expect((await repo.worktrees.prune({})).removed).toEqual(['task-0001', 'task-0002']);
    expect(repo.branches()).toEqual(['main']);
    expect(repo.git('worktree', 'list').split('\n')).toHaveLength(1);
  });
});

describe('prune keeps', () => {
  const cases: [what: string, make: (repo: Repository, folder: string) => void, why: string][] = [
    [
      'a changed file',
      (_, folder) => writeFileSync(join(folder, 'a.txt'), 'two\n'),
      'uncommitted changes: a.txt',
    ],
    ['a removed file', (_, folder) => rmSync(join(folder, 'a.txt')), 'uncommitted changes: a.txt'],
    [
      'an untracked file',
      (_, folder) => writeFileSync(join(folder, 'new.txt'), ''),
      'uncommitted changes: new.txt',
    ],
    [
      'an untracked file, where git is set to show none',
      (repo, folder) => {
        repo.git('config', 'status.showUntrackedFiles', 'no');
        writeFileSync(join(folder, 'new.txt'), '');
      },
      'uncommitted changes: new.txt',
    ],
    [
      'what is staged only',
      (repo, folder) => {
        writeFileSync(join(folder, 'new.txt'), 'staged');
        repo.gitIn(folder, 'add', '.');
        rmSync(join(folder, 'new.txt'));
      },
      'uncommitted changes: new.txt',
    ],
    [
      'a change that git was told not to look at',
      (repo, folder) => {
        repo.gitIn(folder, 'update-index', '--assume-unchanged', 'a.txt');
        writeFileSync(join(folder, 'a.txt'), 'two\n');
      },
      'hidden from git (assume-unchanged): a.txt',
    ],
    [
      'a change in a file that is skipped',
      (repo, folder) => {
        repo.gitIn(folder, 'update-index', '--skip-worktree', 'a.txt');
        writeFileSync(join(folder, 'a.txt'), 'two\n');
      },
      'hidden from git (assume-unchanged): a.txt',
    ],
    [
      'a commit on another task’s branch only',
      (repo, folder) => {
        repo.gitIn(folder, 'commit', '--quiet', '--allow-empty', '-m', 'x');
        repo.git('branch', 'aiwg/task-0099', 'aiwg/task-0001');
      },
      'aiwg/task-0001 has commits that no other branch has',
    ],
    [
      'a commit on no branch',
      (repo, folder) => {
        repo.gitIn(folder, 'checkout', '--quiet', '--detach');
        repo.gitIn(folder, 'commit', '--quiet', '--allow-empty', '-m', 'x');
      },
      'commits that no other branch has',
    ],
    [
      'a merge that is in progress',
      (repo, folder) => {
        repo.git('commit', '--quiet', '--allow-empty', '-m', 'onwards');
        repo.gitIn(folder, 'merge', '--quiet', '--no-ff', '--no-commit', 'main');
      },
      'a merge is in progress',
    ],
    [
      'a bisect that is in progress',
      (repo, folder) => repo.gitIn(folder, 'bisect', 'start'),
      'a bisect is in progress',
    ],
    ['one that is locked', (repo, folder) => repo.git('worktree', 'lock', folder), 'it is locked'],
    [
      'one in which git is at work',
      (repo) => repo.write('.git/worktrees/task-0001/index.lock', ''),
      'git is at work in it',
    ],
    [
      'a repository in an ignored folder',
      (repo, folder) => {
        mkdirSync(join(folder, 'deep/vendor'), { recursive: true });
        writeFileSync(join(folder, 'deep/.gitignore'), '*\n');
        repo.gitIn(join(folder, 'deep/vendor'), 'init', '--quiet');
      },
      'deep/vendor is a repository of its own',
    ],
    [
      'a bare repository in an ignored folder',
      (repo, folder) => {
        mkdirSync(join(folder, 'deep'));
        writeFileSync(join(folder, 'deep/.gitignore'), '*\n');
        repo.gitIn(folder, 'init', '--quiet', '--bare', 'deep/remote.git');
        repo.gitIn(folder, 'push', '--quiet', 'deep/remote.git', 'HEAD:refs/heads/x');
      },
      'deep/remote.git is a repository of its own',
    ],
    [
      'one that was made a repository of its own',
      (repo, folder) => {
        rmSync(join(folder, '.git'));
        repo.gitIn(folder, 'init', '--quiet');
      },
      'its .git was replaced',
    ],
    ['one whose link is broken', (_, folder) => rmSync(join(folder, '.git')), 'git worktree repair'],
    [
      'one that git does not know any more',
      (repo) => rmSync(join(repo.top, '.git/worktrees/task-0001'), { recursive: true }),
      'git does not know it any more',
    ],
    [
      'refs of its own',
      (repo, folder) => repo.gitIn(folder, 'update-ref', 'refs/worktree/kept', 'HEAD'),
      'refs of its own',
    ],
    [
      'a branch that the project has checked out too',
      (repo, folder) => {
        repo.gitIn(folder, 'checkout', '--quiet', '--detach');
        repo.git('checkout', '--quiet', 'aiwg/task-0001');
      },
      'its branch is checked out in /',
    ],
    [
      'a branch that the project is rebasing',
      (repo, folder) => {
        repo.gitIn(folder, 'checkout', '--quiet', '--detach');
        repo.git('checkout', '--quiet', 'aiwg/task-0001');
        repo.git('-c', 'sequence.editor=echo break >', 'rebase', '--quiet', '--interactive', 'main');
      },
      'its branch is checked out in /',
    ],
    [
      'a branch that is checked out elsewhere',
      (repo, folder) => {
        repo.gitIn(folder, 'checkout', '--quiet', '--detach');
        repo.git('worktree', 'add', '--quiet', join(repo.base, 'else'), 'aiwg/task-0001');
      },
      '/else',
    ],
    [
      'a branch that is another name of main',
      (repo) => repo.git('symbolic-ref', 'refs/heads/aiwg/task-0001', 'refs/heads/main'),
      'its branch is a symbolic ref to refs/heads/main',
    ],
    [
      'a commit that another name of its branch seems to have',
      (repo, folder) => {
        repo.gitIn(folder, 'commit', '--quiet', '--allow-empty', '-m', 'x');
        repo.git('symbolic-ref', 'refs/heads/look', 'refs/heads/aiwg/task-0001');
      },
      'the symbolic ref refs/heads/look leads to its branch',
    ],
    [
      'one whose record is damaged',
      (repo) => repo.write('.aiwg/working/task-0001.json', '{"version":'),
      'cannot be read',
    ],
    [
      'one that a task uses',
      (repo) => repo.inUse.set('task-0001', 'task-0002 is queued'),
      'task-0002 is queued',
    ],
  ];
  test.each(cases)('%s', async (_, make, why) => {
    const repo = new Repository();
    const folder = await repo.prepare();
    make(repo, folder);
    const files = (): string => execFileSync('find', [folder, '-type', 'f'], { encoding: 'utf8' });
    const before = [files(), repo.branches()];
    expect((await repo.seen()).why).toContain(why);
    expect((await repo.worktrees.prune({ dryRun: true })).kept[0]?.why).toContain(why);
    expect(await repo.keptBecause()).toContain(why);
    expect([files(), repo.branches()]).toEqual(before);
  });

  test('the branch of a worktree that is gone, where it is checked out', async () => {
    const repo = new Repository();
    const folder = await repo.withCommit();
    repo.git('worktree', 'remove', folder);
    repo.git('checkout', '--quiet', 'aiwg/task-0001');
    repo.git('branch', 'other');
    expect((await repo.seen()).why).toBe(`its branch is checked out in ${repo.top}`);
    expect(await repo.keptBecause()).toBe(`its branch is checked out in ${repo.top}`);
    expect(repo.git('status', '--porcelain')).toBe('');
    expect(repo.git('log', '-1', '--format=%s')).toBe('work of task-0001');
    repo.git('checkout', '--quiet', 'main');
    expect(await repo.keptBecause()).toBeNull();
    expect(repo.branches()).toEqual(['main', 'other']);
  });

  test('a branch that is made another name of main, or is checked out, in the last moment', async () => {
    const repo = new Repository();
    await repo.prepare();
    const ref = 'refs/heads/aiwg/task-0001';
    repo.beforeRemoval = { asked: 2, act: () => repo.git('symbolic-ref', ref, 'refs/heads/main') };
    expect(await repo.keptBecause()).toBe(
      'the worktree is gone, but its branch is a symbolic ref to refs/heads/main',
    );
    expect(repo.branches()).toEqual(['aiwg/task-0001', 'main']);
    repo.git('symbolic-ref', '--delete', ref);
    expect(await repo.keptBecause()).toBeNull();
    expect(repo.branches()).toEqual(['main']);
  });

  const FORGED: object[] = [
    { base: '--output=/tmp/aiwgd-written' },
    { mergedHead: '--output=/tmp/aiwgd-written' },
    { branch: 'main' },
    { state: 'other' },
    { admin: '../../src' },
    { admin: '..' },
    { copied: [{ path: '../../x', sha256: '' }] },
    { submodules: [{ path: '/x', commit: '' }] },
    { submodules: null },
  ];
  test.each(FORGED)('one with a record that the daemon would not write: %j', async (forged) => {
    const repo = new Repository();
    await repo.prepare();
    const record = '.aiwg/working/task-0001.json';
    repo.write(record, JSON.stringify({ ...(JSON.parse(repo.read(record)) as object), ...forged }));
    const why = `cannot be read (its ${Object.keys(forged)[0]} is none)`;
    expect(await repo.keptBecause()).toContain(why);
    await expect(repo.worktrees.diff('task-0001')).rejects.toThrow(why);
    await expect(repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' })).rejects.toThrow(why);
    await expect(repo.prepare()).rejects.toThrow(why);
  });

  test('one that a task takes up in the last moment', async () => {
    const repo = new Repository();
    await repo.prepare();
    repo.beforeRemoval = { asked: 2, act: () => repo.inUse.set('task-0001', 'task-0001 is running') };
    expect(await repo.keptBecause()).toBe('task-0001 is running');
    expect(repo.has('.aiwg/working/task-0001/a.txt')).toBe(true);
  });

  test('what is written or committed in the last moment', async () => {
    const repo = new Repository();
    const folder = await repo.prepare();
    repo.beforeRemoval = { asked: 2, act: () => writeFileSync(join(folder, 'late.txt'), 'late') };
    expect(await repo.keptBecause()).toContain('contains modified or untracked files');
    rmSync(join(folder, 'late.txt'));
    const tree = repo.git('rev-parse', 'main^{tree}');
    const commit = repo.git('commit-tree', tree, '-p', 'main', '-m', 'late');
    repo.beforeRemoval = { asked: 2, act: () => repo.git('update-ref', 'refs/heads/aiwg/task-0001', commit) };
    expect(await repo.keptBecause()).toContain('its branch moved on and stays');
    expect(repo.git('log', '-1', '--format=%s', 'aiwg/task-0001')).toBe('late');
    expect(await repo.keptBecause()).toContain('no other branch has');
    expect(existsSync(await repo.prepare())).toBe(true);
  });

  test('the others, and says so of what is no worktree', async () => {
    const repo = new Repository();
    await repo.prepare('task-0001');
    await repo.prepare('task-0002');
    const answer = await repo.worktrees.prune({ taskIds: ['task-0002', 'task-0003'] });
    expect(answer).toEqual({
      removed: ['task-0002'],
      kept: [{ taskId: 'task-0003', why: 'there is no worktree of it' }],
    });
    expect(readFileSync(join(repo.top, '.aiwg/working/task-0001/a.txt'), 'utf8')).toBe('one\n');
    await expect(repo.worktrees.prune({ taskIds: ['../..'] })).rejects.toThrow('is no id of a task');
  });

  test('a commit that is tried in the last moment does not come about', async () => {
    const repo = new Repository();
    const folder = await repo.prepare();
    repo.gitIn(folder, 'checkout', '--quiet', '--detach');
    const commit = (): string => repo.gitIn(folder, 'commit', '--quiet', '--allow-empty', '-m', 'late');
    repo.beforeRemoval = { asked: 2, act: commit };
    expect(await repo.keptBecause()).toContain('HEAD.lock');
    expect(commit()).toBe('');
    expect(await repo.keptBecause()).toContain('no other branch has');
    expect(repo.gitIn(folder, 'log', '-1', '--format=%s')).toBe('late');
  });

  test('a lock of HEAD that is git’s, and not one that a killed daemon left', async () => {
    const repo = new Repository();
    await repo.prepare();
    repo.write('.git/worktrees/task-0001/HEAD.lock', '');
    expect(await repo.keptBecause()).toContain('git is at work');
    repo.write('.git/worktrees/task-0001/HEAD.lock', 'aiwgd\n');
    await repo.prepare();
    expect(repo.has('.git/worktrees/task-0001/HEAD.lock')).toBe(false);
    repo.write('.git/worktrees/task-0001/HEAD.lock', 'aiwgd\n');
    expect(await repo.keptBecause()).toBeNull();
  });
});
