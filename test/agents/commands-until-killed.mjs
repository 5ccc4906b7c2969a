// A supervisor in the project of argv[2] that runs a command with an event, submitted once, until it is killed. Prints
// the task's id when the command has begun.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AgentSupervisor } from '#aiwgd/agents/agent-supervisor.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';

const [, , root = '', submission = ''] = process.argv;
const log = { debug() {}, info() {}, warn() {}, error() {} };
const { store } = await openSqliteTaskStore({ path: join(root, 'tasks.db'), clock: systemClock, log });
const budget = { perTaskUsd: null, perDayUsd: null, perRuleDayUsd: null };
const supervisor = new AgentSupervisor({
  store,
  agents: { default_agent: 'sh', agents: { sh: { provider: 'command', command: ['sh', '-s'] } } },
  settings: { maxParallel: 1, actionTimeoutMs: 60_000, killGraceMs: 300, budget },
  pausesFile: join(root, 'pauses.json'),
  projectRoot: root,
  attemptFolder: (taskId, attempt) => join(root, 'actions', taskId, `attempt-${attempt}`),
  publish: () => {},
  clock: systemClock,
  log,
  owner: 'killed',
  onFault: () => {},
  environment: process.env,
});
await supervisor.start();
const { taskId } = await supervisor.submit(JSON.parse(submission));
while (!existsSync(join(root, 'begun'))) await new Promise((resolve) => setTimeout(resolve, 5));
process.stdout.write(taskId);
setInterval(() => {}, 1000);
