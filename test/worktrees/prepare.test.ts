import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import { endNow, until } from '../support/temp.js';
import { PLAIN, Repository } from './repository.js';

const CHILD = fileURLToPath(new URL('prepare-until-killed.mjs', import.meta.url));

async function refusal(work: Promise<unknown>): Promise<AiwgdError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AiwgdError) return error;
  throw new Error(`refused with ${String(error)}`);
}

test('a task gets a folder of its own on a branch of its own, and the project does not see it', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  expect(folder).toBe(join(repo.project, '.aiwg/working/task-0001'));
  expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('one\n');
  expect(repo.gitIn(folder, 'symbolic-ref', 'HEAD')).toBe('refs/heads/aiwg/task-0001');
  expect(repo.gitIn(folder, 'status', '--porcelain')).toBe('');
  expect(repo.git('status', '--porcelain')).toBe('');
  expect(await repo.seen()).toMatchObject({
    state: 'clean',
    commits: 0,
    changedFiles: 0,
    inUse: false,
    why: null,
  });
});

test('a further attempt, a task that is resumed and a new daemon find what is there', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'half.txt'), 'half');
  expect(await repo.prepare()).toBe(folder);
  const again = await repo.open().prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  expect(again.folder).toBe(folder);
  expect(readFileSync(join(folder, 'half.txt'), 'utf8')).toBe('half');
});

test('a worktree whose folder is gone is made again from its branch', async () => {
  const repo = new Repository();
  const folder = await repo.withCommit();
  rmSync(folder, { recursive: true });
  expect(await repo.seen()).toMatchObject({
    state: 'missing',
    why: expect.stringContaining('no other branch'),
  });
  expect(await repo.prepare()).toBe(folder);
  expect(existsSync(join(folder, 'new.txt'))).toBe(true);
  expect((await repo.worktrees.diff('task-0001')).files).toMatchObject([
    { path: 'new.txt', status: 'added' },
  ]);
});

test('commits of no branch are kept where the folder of their worktree is gone', async () => {
  const repo = new Repository();
  const folder = await repo.prepare();
  repo.gitIn(folder, 'checkout', '--quiet', '--detach');
  writeFileSync(join(folder, 'x.txt'), 'x');
  repo.gitIn(folder, 'add', '.');
  repo.gitIn(folder, 'commit', '--quiet', '-m', 'on no branch');
  const commit = repo.gitIn(folder, 'rev-parse', 'HEAD');
  rmSync(folder, { recursive: true });
  expect((await refusal(repo.prepare())).message).toContain(`git branch NAME ${commit}`);
  expect(await repo.keptBecause()).toContain('commits that no other branch has');
  repo.git('branch', 'kept', commit);
  expect(await repo.prepare()).toBe(folder);
});

test('a branch that the daemon did not make is left alone: its own has another name then', async () => {
  const repo = new Repository();
  repo.git('branch', 'aiwg/task-0001');
  const folder = await repo.prepare();
  const [mine] = await repo.worktrees.list();
  expect(mine?.branch).toMatch(/^aiwg\/task-0001-[0-9a-f]{8}$/);
  expect(repo.gitIn(folder, 'symbolic-ref', '--short', 'HEAD')).toBe(mine?.branch);
  await repo.worktrees.prune({});
  expect(repo.branches()).toEqual(['aiwg/task-0001', 'main']);
  repo.git('branch', mine?.branch ?? '');
  expect(await refusal(repo.prepare())).toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining(`branch ${mine?.branch} that the daemon did not make`),
  });
});

test('a folder that the daemon did not make is left alone', async () => {
  const repo = new Repository();
  const folder = join(repo.project, '.aiwg/working/task-0002');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'notes.txt'), 'mine');
  expect(await refusal(repo.prepare('task-0002'))).toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining('Move it away'),
  });
  expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  expect(repo.branches()).toEqual(['main']);
  expect(await repo.worktrees.list()).toEqual([]);
});

test('the worktree of an earlier task is not given to another one of the same id', async () => {
  const repo = new Repository();
  const at = (createdAt: string) =>
    repo.worktrees.prepare({ owner: 'task-0001', cwd: null, createdAt, options: PLAIN });
  const { folder } = await at('2026-01-01T00:00:00.000Z');
  expect((await at('2026-01-01T00:00:00.000Z')).folder).toBe(folder);
  expect(await refusal(at('2026-02-02T00:00:00.000Z'))).toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining('an earlier task of this id, from 2026-01-01'),
  });
  expect(await repo.keptBecause()).toBeNull();
  expect((await at('2026-02-02T00:00:00.000Z')).folder).toBe(folder);
});

test('what can never be is refused with its remedy', async () => {
  const repo = new Repository();
  const at = (cwd: string | null, owner = 'task-0001') =>
    refusal(repo.worktrees.prepare({ owner, cwd, options: PLAIN }));
  expect(await at(repo.base)).toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining('outside of the repository'),
  });
  expect(await at(null, '../../x')).toMatchObject({ code: 'INVALID_PARAMS' });
  expect(await at(await repo.prepare('task-0009'))).toMatchObject({
    message: expect.stringContaining('is a worktree itself'),
  });
  rmSync(join(repo.top, '.git'), { recursive: true });
  expect(await at(null)).toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining('git init'),
  });
  repo.git('init', '--quiet');
  expect(await at(null, 'task-0002')).toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining('no commit yet'),
  });
  repo.env['PATH'] = join(repo.base, 'nothing');
  const without = repo.open().prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  expect(await refusal(without)).toMatchObject({
    code: 'INVALID_PARAMS',
    message: expect.stringContaining('install it'),
  });
}, 30_000);

test('a project in a folder of a repository works in that folder, and a task in its own', async () => {
  const repo = new Repository({
    name: 'odd -n\nname ü',
    folder: 'services/-shop',
    files: { 'services/-shop/src/a.txt': 'a', 'other/b.txt': 'b' },
  });
  mkdirSync(join(repo.project, 'not-committed'));
  const { path } = await repo.worktrees.prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  const folderOf = async (cwd: string): Promise<string> =>
    (await repo.worktrees.prepare({ owner: 'task-0001', cwd: join(repo.top, cwd), options: PLAIN })).folder;
  expect(path).toBe(join(repo.project, '.aiwg/working/task-0001'));
  expect(await repo.prepare()).toBe(join(path, 'services/-shop'));
  expect(await folderOf('services/-shop/src')).toBe(join(path, 'services/-shop/src'));
  expect(await folderOf('other')).toBe(join(path, 'other'));
  expect(readdirSync(await folderOf('services/-shop/not-committed'))).toEqual([]);
  writeFileSync(join(path, 'other/-c d.txt'), 'c\n');
  expect((await repo.worktrees.diff('task-0001')).files).toMatchObject([
    { path: 'other/-c d.txt', added: 1 },
  ]);
  expect((await repo.worktrees.merge({ owner: 'task-0001', prompt: '-x' })).files).toEqual([
    'other/-c d.txt',
  ]);
  expect(await repo.keptBecause()).toBeNull();
});

test('a link in the commit does not lead the agent out of its worktree', async () => {
  const repo = new Repository();
  symlinkSync(repo.base, join(repo.top, 'out'));
  repo.git('add', '.');
  repo.git('commit', '--quiet', '-m', 'a link');
  rmSync(join(repo.top, 'out'));
  mkdirSync(join(repo.top, 'out'));
  const error = await refusal(
    repo.worktrees.prepare({ owner: 'task-0001', cwd: join(repo.top, 'out'), options: PLAIN }),
  );
  expect(error.message).toContain('leads out of the worktree');
});

test('ten at the same time do not get into each other’s way', async () => {
  const repo = new Repository();
  const owners = Array.from({ length: 10 }, (_, index) => `task-00${10 + index}`);
  const folders = await Promise.all(owners.map((owner) => repo.prepare(owner)));
  expect(new Set(folders).size).toBe(10);
  for (const [index, folder] of folders.entries()) writeFileSync(join(folder, `${index}.txt`), `${index}\n`);
  const diffs = await Promise.all(owners.map((owner) => repo.worktrees.diff(owner)));
  expect(diffs.map(({ files }) => files.map(({ path }) => path))).toEqual(
    owners.map((_, index) => [`${index}.txt`]),
  );
  const merges = await Promise.all(owners.map((owner) => repo.worktrees.merge({ owner, prompt: owner })));
  expect(merges.every(({ merged }) => merged)).toBe(true);
  expect(owners.every((_, index) => repo.has(`${index}.txt`))).toBe(true);
  expect((await repo.worktrees.prune({})).removed).toEqual(owners);
  expect(repo.branches()).toEqual(['main']);
}, 60_000);

test('hooks and helpers that the repository names are not run', async () => {
  const repo = new Repository();
  const ran = join(repo.base, 'ran');
  mkdirSync(join(repo.top, 'hooks'));
  for (const hook of [
    'post-checkout',
    'pre-commit',
    'commit-msg',
    'pre-merge-commit',
    'post-merge',
    'reference-transaction',
    'post-index-change',
  ]) {
    const file = join(repo.top, 'hooks', hook);
    writeFileSync(file, `#!/bin/sh\necho ${hook} >> ${ran}\n`);
    chmodSync(file, 0o755);
  }
  const helper = join(repo.top, 'helper.sh');
  writeFileSync(helper, `#!/bin/sh\necho "$0 $*" >> ${ran}\n`);
  chmodSync(helper, 0o755);
  repo.git('add', '.');
  repo.git('commit', '--quiet', '-m', 'hooks');
  for (const [key, value] of [
    ['core.hooksPath', 'hooks'],
    ['core.fsmonitor', helper],
    ['diff.external', helper],
    ['core.pager', helper],
    ['core.editor', helper],
  ]) {
    repo.git('config', key!, value!);
  }
  const folder = await repo.prepare();
  writeFileSync(join(folder, 'new.txt'), 'new\n');
  expect((await repo.worktrees.diff('task-0001')).diff).toContain('+new');
  await repo.worktrees.merge({ owner: 'task-0001', prompt: 'x' });
  expect(await repo.keptBecause()).toBeNull();
  expect(existsSync(ran)).toBe(false);
});

test('git sees nothing of the daemon’s own git variables', async () => {
  const repo = new Repository();
  repo.env['GIT_DIR'] = '/nowhere';
  repo.env['GIT_INDEX_FILE'] = '/nowhere/index';
  const { folder } = await repo.open().prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  expect(existsSync(join(folder, 'a.txt'))).toBe(true);
});

test('a kill -9 at any moment of making one leaves nothing that the next call cannot mend', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`f/${index}.txt`, `${index}\n`]),
  );
  const repo = new Repository({ files });
  // Slows the checkout down, so that kills fall into it.
  repo.write('.gitattributes', 'f/*0.txt filter=slow\n');
  repo.git('add', '.');
  repo.git('commit', '--quiet', '-m', 'slow');
  repo.git('config', 'filter.slow.smudge', 'sleep 0.02; cat');
  let killed = 0;
  for (let ms = 40; ms < 1_000; ms += 120) {
    const child = spawn(process.execPath, [CHILD, repo.project], {
      env: repo.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => endNow(child.pid!));
    const closed = once(child, 'close');
    await once(child, 'spawn');
    await until(
      'there is something of it',
      () => repo.has('.aiwg/working/task-0001.json') || child.exitCode !== null,
    );
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      killed += 1;
    }
    await closed;
  }
  expect(killed).toBeGreaterThan(2);
  const folder = await repo.open().prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  expect(repo.gitIn(folder.folder, 'status', '--porcelain')).toBe('');
  expect(readdirSync(join(folder.folder, 'f'))).toHaveLength(300);
  expect(await repo.seen()).toMatchObject({ state: 'clean', why: null });
  expect(await repo.keptBecause()).toBeNull();
  expect(repo.branches()).toEqual(['main']);
}, 120_000);

test('what a person puts in the place of one that could not be made again is kept, and used', async () => {
  const repo = new Repository();
  const folder = await repo.withCommit();
  repo.git('worktree', 'remove', folder);
  repo.git('config', 'filter.f.smudge', 'exit 1');
  repo.git('config', 'filter.f.required', 'true');
  repo.write('.git/info/attributes', '* filter=f\n');
  expect((await refusal(repo.prepare())).message).toContain('smudge filter f failed');
  rmSync(join(repo.top, '.git/info/attributes'));
  repo.git('worktree', 'add', '--quiet', folder, 'aiwg/task-0001');
  writeFileSync(join(folder, 'mine.txt'), 'mine');
  expect(await repo.seen()).toMatchObject({ state: 'dirty', why: 'uncommitted changes: mine.txt' });
  expect(await repo.keptBecause()).toBe('uncommitted changes: mine.txt');
  expect(await repo.prepare()).toBe(folder);
  expect(readFileSync(join(folder, 'mine.txt'), 'utf8')).toBe('mine');
  expect((await repo.worktrees.diff('task-0001')).files.map(({ path }) => path)).toEqual([
    'mine.txt',
    'new.txt',
  ]);
});

test('a branch that another project in the repository makes in the same moment stays', async () => {
  const repo = new Repository({ files: { 'a/x.txt': 'x', 'b/y.txt': 'y' } });
  const projects = ['a', 'b'].map((name) => {
    mkdirSync(join(repo.top, name, '.aiwg'));
    return repo.open(join(repo.top, name));
  });
  // Both have looked before either begins.
  const real = `${repo.git('--exec-path')}/git`;
  const slow = join(repo.base, 'slow');
  mkdirSync(slow);
  const gate = join(repo.base, 'gate');
  writeFileSync(
    join(slow, 'git'),
    `#!/bin/sh\ncase " $* " in *" worktree add "*|*" update-ref --create-reflog "*) echo >> ${gate}
while [ "$(wc -l < ${gate})" -lt 2 ]; do sleep 0.02; done;; esac\nexec "${real}" "$@"\n`,
    { mode: 0o755 },
  );
  repo.env['PATH'] = `${slow}:${repo.env['PATH']}`;
  const request = { owner: 'task-0001', cwd: null, options: PLAIN };
  const again = ['a', 'b'].map((name) => repo.open(join(repo.top, name)));
  const answers = await Promise.allSettled(again.map((worktrees) => worktrees.prepare(request)));
  const winner = answers.findIndex(({ status }) => status === 'fulfilled');
  expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(repo.branches()).toEqual(['aiwg/task-0001', 'main']);
  expect((await projects[winner]!.list())[0]).toMatchObject({ state: 'clean' });
  expect(await projects[1 - winner]!.list()).toEqual([]);
  await projects[1 - winner]!.prepare(request);
  expect((await projects[1 - winner]!.list())[0]?.branch).toMatch(/^aiwg\/task-0001-[0-9a-f]{8}$/);
}, 30_000);

test('one that was half made and never asked for again can be pruned', async () => {
  const repo = new Repository();
  repo.git('config', 'filter.slow.smudge', 'exec sleep 60');
  repo.write('.gitattributes', '*.txt filter=slow\n');
  repo.git('add', '.');
  repo.git('commit', '--quiet', '-m', 'slow');
  const child = spawn(process.execPath, [CHILD, repo.project], { env: repo.env, stdio: 'ignore' });
  onTestFinished(() => endNow(child.pid!));
  await until('the checkout is at work', () => repo.has('.git/worktrees/task-0001/index.lock'));
  child.kill('SIGKILL');
  await once(child, 'close');
  repo.inUse.set('task-0001', 'task-0001 is queued');
  expect(await repo.keptBecause()).toBe('task-0001 is queued');
  repo.inUse.clear();
  expect(await repo.keptBecause()).toBeNull();
  expect(repo.branches()).toEqual(['main']);
  expect(repo.git('worktree', 'list').split('\n')).toHaveLength(1);
}, 30_000);

test('a close ends git, and what it was making is taken up again', async () => {
  const repo = new Repository();
  repo.git('config', 'filter.slow.smudge', 'exec sleep 60');
  repo.write('.gitattributes', '*.txt filter=slow\n');
  repo.git('add', '.');
  repo.git('commit', '--quiet', '-m', 'slow');
  const making = refusal(repo.prepare());
  await until('the checkout is at work', () => repo.has('.git/worktrees/task-0001/index.lock'));
  repo.worktrees.close();
  expect((await making).message).toContain('the daemon stops');
  expect(await refusal(repo.prepare())).toMatchObject({ code: 'DAEMON_STOPPING' });
  repo.git('config', 'filter.slow.smudge', 'cat');
  await repo.open().prepare({ owner: 'task-0001', cwd: null, options: PLAIN });
  expect(repo.has('.aiwg/working/task-0001/a.txt')).toBe(true);
}, 30_000);
