import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, it } from 'vitest';
import type { Client } from '#aiwgd/ipc/client.js';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { mulberry, seedOf } from '../support/random.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

const ROUNDS = Number(process.env['AIWGD_KILL_ROUNDS'] ?? 8);
const TASKS_OF_A_ROUND = 15;

const AFTER = {
  id: 'after',
  trigger: { type: 'event', topic: 'task:completed' },
  mode: 'parallel',
  max: 1_000,
  max_per_hour: 100_000,
  action: { type: 'submit_task', prompt: 'After {{payload.taskId}}', wait: false },
};

async function allTasks(client: Client): Promise<Task[]> {
  const tasks: Task[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.task.page({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    tasks.push(...page.tasks);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return tasks;
}

/** The tasks, by id, on whose ends the rule has fired, as often as it has. */
function firedOn(tasks: readonly Task[]): string[] {
  return tasks.flatMap(({ prompt }) => /^After "(.*)"$/.exec(prompt)?.[1] ?? []).toSorted();
}

function completedByHand(tasks: readonly Task[]): string[] {
  return tasks
    .filter(({ state, ruleId }) => state === 'completed' && ruleId === null)
    .map(({ id }) => id)
    .toSorted();
}

/** Returns at the very moment when so many tasks more have completed on disk: their ends are hardly told yet. */
function watchOutcomes(project: Project, more: number): void {
  const db = new DatabaseSync(project.paths.database, { readOnly: true });
  const count = db.prepare("SELECT count FROM task_counts WHERE state = 'completed'");
  const completed = (): number => (count.get() as { count: number }).count;
  const enough = completed() + more;
  const deadline = performance.now() + 5_000;
  while (completed() < enough && performance.now() < deadline);
  db.close();
}

it(
  `over ${ROUNDS} kills just when an outcome is stored, a rule fires on the end of each task exactly once`,
  async ({ annotate }) => {
    const seed = seedOf();
    await annotate(`seed ${seed}`);
    const random = mulberry(seed);
    const project = new Project({
      config: {
        daemon: { max_parallel_actions: 4 },
        default_agent: 'sh',
        agents: { sh: script('cat') },
        rules: [AFTER],
      },
    });
    for (let round = 0; round < ROUNDS; round += 1) {
      await project.start();
      const client = await project.connect();
      const daemon = project.daemon();
      for (let task = 0; task < TASKS_OF_A_ROUND; task += 1) await client.task.submit({ prompt: 'by hand' });
      watchOutcomes(project, 1 + Math.floor(random() * 5));
      process.kill(daemon.pid, 'SIGKILL');
      client.close();
      await until('the daemon is gone', () => !isAlive(daemon));
    }
    await project.start();
    const client = await project.connect();
    let tasks: Task[] = [];
    await until(
      'all tasks have ended',
      async () => {
        tasks = await allTasks(client);
        const asked = tasks.filter(({ ruleId }) => ruleId !== null).length;
        return asked >= ROUNDS * TASKS_OF_A_ROUND && tasks.every(({ completedAt }) => completedAt !== null);
      },
      60_000,
    );
    expect(completedByHand(tasks)).toHaveLength(ROUNDS * TASKS_OF_A_ROUND);
    expect(firedOn(tasks)).toEqual(completedByHand(tasks));
    client.close();
    await project.ok(['stop']);
    await project.start();
    expect(firedOn(await allTasks(await project.connect()))).toEqual(completedByHand(tasks));
  },
  60_000 + ROUNDS * 5_000,
);

it('a rule fires at the next start on a task that ended while the daemon stopped', async () => {
  const project = new Project({
    config: {
      daemon: { max_parallel_actions: 1, kill_grace_seconds: 5 },
      default_agent: 'sh',
      agents: { sh: script('trap "" TERM; touch up; until test -e go; do sleep 0.02; done; echo whole') },
      rules: [AFTER],
    },
  });
  await project.start();
  await project.ok(['task', 'submit', 'by hand']);
  await until('the agent works', () => project.agents().length > 0);
  const stopping = project.run(['stop']);
  await until('the stop has begun', () => project.logTail().includes('stopping'));
  writeFileSync(join(project.root, 'go'), '');
  expect((await stopping).code).toBe(0);
  await project.start();
  const client = await project.connect();
  expect((await client.task.get({ taskId: 'task-0001' })).state).toBe('completed');
  await until('the rule has fired', async () => firedOn(await allTasks(client)).length > 0);
  expect(firedOn(await allTasks(client))).toEqual(['task-0001']);
});
