import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GitActivity } from '#aiwgd/sources/watch/git-folder.js';
import { FakeClock } from '#aiwgd/testing/index.js';
import { tempFolder, until } from '../support/temp.js';
import { older, Watching } from './watching.js';

function git(cwd: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=T', '-c', 'user.email=t@example.org', '-c', 'init.defaultBranch=main'];
  execFileSync('git', [...identity, ...args], { cwd, stdio: 'ignore' });
}

describe('while git changes the working tree', () => {
  it('nothing is reported, and then what has changed in the end', async () => {
    const project = new Watching();
    git(project.root, 'init');
    project.write('kept');
    project.write('changed');
    await project.start({ debounce_ms: 5 });
    writeFileSync(project.path('.git/index.lock'), '');
    for (const content of ['y', 'x']) project.write('kept', content);
    project.write('changed', 'longer');
    project.write('brief');
    await until('all three are held back', () => project.watcher!.status().waiting >= 3);
    await older(project.path('brief'));
    rmSync(project.path('brief'));
    expect(project.events).toEqual([]);
    expect(project.watcher!.status().waiting).toBeGreaterThan(0);
    rmSync(project.path('.git/index.lock'));
    // Written anew with the same content is a change all the same: its time is another.
    await project.expectReports(['modify changed', 'modify kept']);
  });

  it('switching branches reports the difference', async () => {
    const project = new Watching();
    git(project.root, 'init');
    for (let index = 0; index < 50; index += 1) project.write(`f${index}`);
    git(project.root, 'add', '.');
    git(project.root, 'commit', '-m', 'one');
    git(project.root, 'checkout', '-b', 'other');
    for (let index = 0; index < 25; index += 1) project.write(`f${index}`, 'other');
    git(project.root, 'rm', '-q', 'f49');
    git(project.root, 'commit', '-am', 'two');
    await project.start({ debounce_ms: 5 });
    git(project.root, 'checkout', 'main');
    await project.expectReports([
      ...Array.from({ length: 25 }, (_, index) => `modify f${index}`),
      'create f49',
    ]);
  });

  it('is known also in a worktree, and of a rebase between its steps', () => {
    const root = tempFolder();
    const worktree = join(tempFolder(), 'tree');
    git(root, 'init');
    git(root, 'commit', '--allow-empty', '-m', 'one');
    git(root, 'worktree', 'add', worktree);
    const clock = new FakeClock(Date.now());
    const activity = new GitActivity(worktree, clock);
    expect(activity.isBusy()).toBe(false);
    const folder = join(root, '.git/worktrees/tree');
    writeFileSync(join(folder, 'index.lock'), '');
    expect(activity.isBusy()).toBe(true);
    rmSync(join(folder, 'index.lock'));
    mkdirSync(join(folder, 'rebase-merge'));
    writeFileSync(join(folder, 'HEAD'), 'ref: refs/heads/tree\n');
    expect(activity.isBusy()).toBe(true);
    clock.advance(3_000);
    expect(activity.isBusy()).toBe(false);
  });

  it('that was killed and left its lock, reports come after a minute', async () => {
    const project = new Watching();
    mkdirSync(project.path('.git'));
    const clock = new FakeClock(Date.now());
    await project.start({ debounce_ms: 5 }, { clock });
    project.write('.git/index.lock');
    project.write('a');
    await until('it is heard of', () => project.watcher!.status().waiting === 1);
    for (let second = 0; second < 59; second += 1) clock.advance(1_000);
    expect(project.reports).toEqual([]);
    clock.advance(1_500);
    await until('it is reported', () => project.reports.length === 1);
    expect(project.reports).toEqual(['create a']);
  });
});

it('a lock that a killed git left behind holds nothing up after its first minute', () => {
  const root = tempFolder();
  git(root, 'init');
  writeFileSync(join(root, '.git/index.lock'), '');
  const clock = new FakeClock(Date.now());
  const activity = new GitActivity(root, clock);
  expect(activity.isBusy()).toBe(true);
  clock.advance(61_000);
  expect(activity.isBusy()).toBe(false);
  rmSync(join(root, '.git/index.lock'));
  expect(activity.isBusy()).toBe(false);
});
