import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import type { DaemonStatus } from '#aiwgd/protocol/status.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project } from './support.js';

const RESULT = '"type":"result","subtype":"success"';
const DEAR = `#!/bin/sh
cat > /dev/null
echo '{${RESULT},"is_error":false,"result":"done","total_cost_usd":0.30}'
`;
const LIMITED = `#!/bin/sh
cat > /dev/null
reset=$(($(date +%s) + 3600))
echo '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":'$reset'}}'
echo '{${RESULT},"is_error":true,"result":"used up","api_error_status":429}'
exit 1
`;

function claudeProject(program: string, config: object): Project {
  const project = new Project({ config: { ...config, agents: { claude: { program: './claude' } } } });
  writeFileSync(join(project.root, 'claude'), program);
  chmodSync(join(project.root, 'claude'), 0o755);
  return project;
}

/** What `tasks.json` says of a task. */
function exported(project: Project, id: string): Partial<Task> | undefined {
  const file = join(project.root, '.aiwg/daemon/tasks.json');
  const { tasks } = JSON.parse(readFileSync(file, 'utf8')) as { tasks: Task[] };
  return tasks.find((task) => task.id === id);
}

test('a task over the budget of the day waits everywhere, and goes on when the budget is raised', async () => {
  const budget = { per_task_usd: 0.3, per_day_usd: 0.5 };
  const project = claudeProject(DEAR, { budget });
  await project.start();
  await project.ok(['task', 'submit', '--wait', 'first']);
  await project.ok(['task', 'submit', 'second']);
  const midnight = new Date();
  midnight.setHours(24, 0, 0, 0);
  const waits = { id: 'task-0002', state: 'queued', waitReason: 'budget', runAt: midnight.toISOString() };
  await until('it waits', async () => {
    const task = await project.json<Task>(['task', 'get', 'task-0002']);
    return task.waitReason === 'budget';
  });
  expect(await project.json(['task', 'get', 'task-0002'])).toMatchObject(waits);
  expect(await project.json(['task', 'list', '--state', 'queued'])).toMatchObject([waits]);
  await until('tasks.json says so', () => exported(project, 'task-0002')?.waitReason === 'budget');
  expect(exported(project, 'task-0002')).toMatchObject(waits);
  expect(await project.ok(['status'])).toMatch(/\$0\.30 of \$0\.50 spent today/);
  const events = await project.json<AiwgEvent[]>(['events', 'tail', '--topic', 'budget.*']);
  expect(events).toMatchObject([
    { type: 'budget.exhausted', payload: { scope: 'day', spentUsd: 0.3, limitUsd: 0.5 } },
  ]);

  project.configure({ budget: { ...budget, per_day_usd: 10 }, agents: { claude: { program: './claude' } } });
  await project.ok(['reload']);
  await project.ok(['task', 'wait', 'task-0002']);
  expect(await project.ok(['status'])).toMatch(/\$0\.60 of \$10\.00 spent today/);
});

test('a budget and a pause outlive the daemon', async () => {
  const budget = { per_task_usd: 0.3, per_day_usd: 10 };
  const project = claudeProject(DEAR, { budget });
  await project.start();
  await project.ok(['task', 'submit', '--wait', 'first']);
  writeFileSync(join(project.root, 'claude'), LIMITED);
  await project.ok(['task', 'submit', 'second']);
  const supervisor = async (): Promise<DaemonStatus['subsystems']['supervisor']> =>
    (await project.json<DaemonStatus>(['status'])).subsystems.supervisor;
  await until('the limit is met', async () => (await supervisor()).paused.length === 1);
  const before = await supervisor();
  await project.ok(['restart']);
  const after = await supervisor();
  expect(after).toMatchObject({ spentTodayUsd: 0.3, reservedUsd: 0, dayLimitUsd: 10, paused: before.paused });
  await project.ok(['task', 'submit', 'third']);
  const end = after.paused[0]?.until;
  for (const id of ['task-0002', 'task-0003'])
    expect(await project.json(['task', 'get', id])).toMatchObject({
      waitReason: 'rate_limit',
      runAt: end,
      attempt: 0,
    });
  expect(await project.ok(['status'])).toMatch(/claude \(claude\) has met its limit and pauses until /);
});
