import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import type { PruneAnswer, TaskDiff, TaskMerge, Worktree } from '#aiwgd/protocol/worktrees.js';
import { until } from '../support/temp.js';
import { CLI, Project, script } from './support.js';

/** A project that is a repository with one commit, its default agent isolated. */
function isolated(agent: string, more: object = {}): Project {
  const project = new Project({
    config: {
      default_agent: 'worker',
      agents: { worker: { ...script(agent), isolation: 'worktree' } },
      daemon: { max_parallel_actions: 10 },
      ...more,
    },
  });
  writeFileSync(
    join(project.env['HOME']!, '.gitconfig'),
    '[user]\n\tname = Ann\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n',
  );
  git(project, 'init', '--quiet');
  writeFileSync(join(project.root, 'a.txt'), 'one\n');
  git(project, 'add', 'a.txt', '.aiwg/daemon.json');
  git(project, 'commit', '--quiet', '-m', 'first');
  return project;
}

function git(project: Project, ...args: string[]): string {
  return execFileSync('git', args, { cwd: project.root, env: project.env, encoding: 'utf8' }).trim();
}

test('ten tasks at once on one repository: each has its own work, and prune keeps what is not merged', async () => {
  // Each waits until all ten are at work.
  const project = isolated(`
    name=$(cat)
    echo "$name" > "$AIWG_PROJECT/../at-work/$name"
    for _ in $(seq 1 600); do
      [ "$(ls "$AIWG_PROJECT/../at-work" | wc -l)" -ge 10 ] && break
      sleep 0.1
    done
    echo "by $name" >> a.txt
    echo "$name" > "$name.txt"
    ls *.txt | tr '\\n' ' '`);
  mkdirSync(join(project.root, '../at-work'));
  await project.start();
  const names = Array.from({ length: 10 }, (_, index) => `worker-${index}`);
  const ids: string[] = [];
  for (const name of names)
    ids.push((await project.json<{ taskId: string }>(['task', 'submit', name])).taskId);
  for (const [index, id] of ids.entries()) {
    expect((await project.ok(['task', 'wait', id])).trim()).toBe(`a.txt ${names[index]}.txt`);
  }
  expect(git(project, 'status', '--porcelain')).toBe('?? .aiwg/daemon.pid');
  for (const [index, id] of ids.entries()) {
    const diff = await project.json<TaskDiff>(['task', 'diff', id]);
    expect(diff.files.map(({ path }) => path)).toEqual(['a.txt', `${names[index]}.txt`]);
    expect(diff.diff).toContain(`+by ${names[index]}\n`);
  }
  const kept = await project.json<PruneAnswer>(['worktree', 'prune']);
  expect(kept).toMatchObject({ removed: [], kept: ids.map((taskId) => ({ taskId })) });
  expect(await project.json<TaskMerge>(['task', 'merge', ids[3]!])).toMatchObject({ merged: true });
  expect(readFileSync(join(project.root, 'a.txt'), 'utf8')).toBe('one\nby worker-3\n');
  const second = await project.run(['task', 'merge', ids[4]!]);
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('in conflict: a.txt') });
  expect(git(project, 'status', '--porcelain')).toBe('?? .aiwg/daemon.pid');
  expect(await project.json<PruneAnswer>(['worktree', 'prune'])).toMatchObject({ removed: [ids[3]] });
  const listed = await project.json<Worktree[]>(['worktree', 'list']);
  expect(listed.map(({ taskId }) => taskId)).toEqual(ids.filter((id) => id !== ids[3]));
  expect(
    readdirSync(join(project.root, '.aiwg/working')).filter((name) => name.startsWith('task-')),
  ).toHaveLength(18);
}, 180_000);

test('it reads well, in a pipe the diff can be applied, and ids that are wrong are told', async () => {
  const project = isolated('cat > prompt.txt');
  await project.start();
  expect(await project.ok(['worktree', 'list'])).toBe('No worktrees\n');
  await project.ok(['task', 'submit', '--wait', 'hello']);
  expect(await project.ok(['task', 'diff', 'task-0001', '--stat'])).toBe(
    'prompt.txt  added, +1 -0\n1 file, +1 -0\n',
  );
  expect(await project.ok(['worktree', 'list'])).toMatch(
    /task-0001 +dirty +0 +1 +aiwg\/task-0001 +uncommitted changes: prompt.txt/u,
  );
  expect(await project.ok(['worktree', 'prune', '--dry-run', 'task-0001'])).toBe(
    'kept  task-0001: uncommitted changes: prompt.txt\n',
  );
  const diff = await project.ok(['task', 'diff', 'task-0001']);
  execFileSync('git', ['apply', '--check', '-'], { cwd: project.root, env: project.env, input: diff });
  expect(await project.ok(['task', 'merge', 'task-0001'])).toMatch(
    /^task-0001 merged as [0-9a-f]{12}, 1 file:\n {2}prompt.txt\n$/u,
  );
  expect(await project.ok(['task', 'merge', 'task-0001'])).toBe('task-0001: nothing to merge\n');
  expect(await project.ok(['worktree', 'prune', '--dry-run'])).toBe('would be removed  task-0001\n');
  expect(await project.ok(['worktree', 'prune'])).toBe('removed  task-0001\n');
  expect(git(project, 'for-each-ref', '--format=%(refname)', 'refs/heads')).toBe('refs/heads/main');
  expect((await project.run(['task', 'diff', 'task-0001'])).code).toBe(4);
  expect((await project.run(['task', 'diff', 'task-0099'])).code).toBe(4);
  expect((await project.run(['worktree', 'prune', 'task-0099'])).code).toBe(4);
}, 60_000);

test('an agent finds the daemon from its worktree, and may look but neither merge nor prune', async () => {
  const aiwgd = `"${process.execPath}" "${CLI}"`;
  const project = isolated(`
    ${aiwgd} task diff "$AIWG_TASK_ID" --stat
    ${aiwgd} worktree prune 2>&1; echo "prune $?"
    ${aiwgd} task merge "$AIWG_TASK_ID" 2>&1; echo "merge $?"`);
  await project.start();
  const output = await project.ok(['task', 'submit', '--wait', 'x']);
  expect(existsSync(join(project.root, '.aiwg/working/task-0001/.aiwg/daemon.json'))).toBe(true);
  expect(output).toContain('No changes\n');
  expect(output).toContain(
    'Worktrees are removed by people; this call came from the agent of task-0001.\nprune 1\n',
  );
  expect(output).toContain(
    'Work of tasks is merged by people; this call came from the agent of task-0001.\nmerge 1\n',
  );
}, 60_000);

test('while a task is at work its worktree stays and is not merged; a task that is resumed goes on in it', async () => {
  const project = isolated(
    'cat > prompt.txt; echo x >> log.txt; while [ -e "$AIWG_PROJECT/../hold" ]; do sleep 0.05; done; wc -l < log.txt',
  );
  const hold = join(project.root, '../hold');
  writeFileSync(hold, '');
  await project.start();
  await project.ok(['task', 'submit', 'first']);
  await until('it is at work', () => existsSync(join(project.root, '.aiwg/working/task-0001/log.txt')));
  expect((await project.json<PruneAnswer>(['worktree', 'prune'])).kept).toEqual([
    { taskId: 'task-0001', why: 'task-0001 is running' },
  ]);
  expect((await project.run(['task', 'merge', 'task-0001'])).stderr).toContain(
    'cannot be merged yet: task-0001 is running',
  );
  await project.kill();
  execFileSync('rm', [hold]);
  await project.start();
  await project.ok(['task', 'wait', 'task-0001']);
  const resumed = await project.json<Task>(['task', 'submit', '--resume', 'task-0001', '--wait', 'second']);
  expect(resumed).toMatchObject({ state: 'completed', result: expect.stringMatching(/^2/u) });
  expect((await project.json<Worktree[]>(['worktree', 'list'])).map(({ taskId }) => taskId)).toEqual([
    'task-0001',
  ]);
  expect((await project.json<TaskDiff>(['task', 'diff', resumed.id])).taskId).toBe('task-0001');
  expect(await project.json<TaskMerge>(['task', 'merge', resumed.id])).toMatchObject({
    taskId: 'task-0001',
    merged: true,
  });
  expect((await project.json<PruneAnswer>(['worktree', 'prune', resumed.id])).removed).toEqual(['task-0001']);
}, 60_000);

test('without a repository the task fails at once and says what helps', async () => {
  const project = new Project({
    config: { default_agent: 'worker', agents: { worker: { ...script('true'), isolation: 'worktree' } } },
  });
  await project.start();
  const { code, stderr } = await project.run(['task', 'submit', '--wait', 'x']);
  expect(code).toBe(1);
  expect(stderr).toContain('Tasks in worktrees need a git repository');
  expect(await project.ok(['worktree', 'list'])).toBe('No worktrees\n');
}, 60_000);
