// Processes of agents that do not want to go: they ignore SIGTERM and have children in sessions of their own.
import { writeFileSync } from 'node:fs';
import { identityOf, isAlive } from '#aiwgd/platform/process-identity.js';
import { boundRow } from '../measure.mjs';
import { agentProcesses, pause, until } from '../processes.mjs';
import { script, withProject } from '../project.mjs';

const CHILD = `setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 1; done' &`;
const STUBBORN = script(`trap '' TERM HUP INT; ${CHILD} ${CHILD} while :; do sleep 1; done`);
/** Ends by itself as soon as the file exists that its prompt names, and leaves its children. */
const DESERTER = script(`read -r go; ${CHILD} ${CHILD} until [ -e "$go" ]; do sleep 0.02; done; exit 0`);
const PROCESSES_EACH = 3;
const SETTLE_MS = 10_000;

export function leftovers() {
  const agents = { stubborn: STUBBORN, deserter: DESERTER };
  return withProject({ agents, daemon: { kill_grace_seconds: 0.3 } }, async (project) => {
    const counts = {};
    counts.cancel = await afterCancel(project);
    counts.timeout = await afterTimeout(project);
    counts.stop = await afterStop(project);
    counts['stop --force'] = await afterStop(project, '--force');
    counts['kill -9 + start'] = await afterCrash(project);
    counts['kill -9 + start + end + stop'] = await afterAdoption(project);
    const left = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const note = Object.entries(counts)
      .map(([after, count]) => `${after}: ${count}`)
      .join(', ');
    return [
      boundRow('agent processes left after cancel, timeout, stop (--force), kill -9 + start', {
        unit: '',
        ours: left,
        most: 0,
        note,
      }),
    ];
  });
}

/** Submits a task and waits until its whole family is there. */
async function begin(project, client, params) {
  const { taskId } = await client.task.submit({ prompt: 'stay', ...params });
  await until('the agent and its children run', () => agentProcesses(project.root).length >= PROCESSES_EACH);
  return taskId;
}

async function ended(client, taskId) {
  await until('the task has ended', async () => (await client.task.get({ taskId })).completedAt !== null);
}

async function afterCancel(project) {
  await project.start();
  const client = await project.connect();
  const taskId = await begin(project, client);
  await client.task.cancel({ taskId });
  await ended(client, taskId);
  return agentProcesses(project.root).length;
}

async function afterTimeout(project) {
  const client = await project.connect();
  await ended(client, await begin(project, client, { timeoutMs: 1500 }));
  return agentProcesses(project.root).length;
}

async function afterStop(project, ...how) {
  const client = await project.connect();
  const taskId = await begin(project, client);
  await project.stop(...how);
  const left = agentProcesses(project.root).length;
  // The next start resumes what the stop cut off: that is no leftover.
  await project.start();
  const again = await project.connect();
  await again.task.cancel({ taskId });
  await ended(again, taskId);
  return left;
}

/** One agent ends while no daemon looks and leaves its children; the other one lives on, is adopted and cancelled. */
async function afterCrash(project) {
  const client = await project.connect();
  const deserter = await begin(project, client, { agent: 'deserter', prompt: 'leave\n' });
  const { pid } = await client.task.get({ taskId: deserter });
  const agent = identityOf(pid);
  const stubborn = await begin(project, client);
  await until('both agents run', async () => (await client.task.get({ taskId: stubborn })).pid !== null);
  await project.kill();
  project.disconnect();
  writeFileSync(`${project.root}/leave`, '');
  await until('the agent has left', () => !isAlive(agent));
  await project.start();
  const next = await project.connect();
  await ended(next, deserter);
  await next.task.cancel({ taskId: stubborn });
  await ended(next, stubborn);
  return settled(project);
}

/** An agent outlives its daemon, ends by itself under the next one, and leaves its children. */
async function afterAdoption(project) {
  const client = await project.connect();
  const taskId = await begin(project, client, { agent: 'deserter', prompt: 'leave later\n' });
  await project.kill();
  project.disconnect();
  await project.start();
  const next = await project.connect();
  writeFileSync(`${project.root}/leave later`, '');
  await ended(next, taskId);
  const left = await settled(project);
  await project.stop();
  return Math.max(left, agentProcesses(project.root).length);
}

async function settled(project) {
  const begun = performance.now();
  while (agentProcesses(project.root).length > 0 && performance.now() - begun < SETTLE_MS) await pause(50);
  return agentProcesses(project.root).length;
}
