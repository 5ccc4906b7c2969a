import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentSupervisor } from '#aiwgd/agents/agent-supervisor.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';

const SLOTS = 2;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

function supervisorIn(root, store, agent, publish) {
  return new AgentSupervisor({
    store,
    agents: { default_agent: 'bench', agents: { bench: agent } },
    settings: { maxParallel: SLOTS, actionTimeoutMs: 600_000, killGraceMs: 1000 },
    projectRoot: root,
    attemptFolder: (id, attempt) => join(root, 'actions', id, `attempt-${attempt}`),
    publish,
    clock: systemClock,
    log: silent,
    owner: 'bench',
    onFault: (issue) => issue !== null && console.error(issue.message),
    environment: { PATH: process.env.PATH },
  });
}

async function inStore(work) {
  const root = mkdtempSync(join(tmpdir(), 'aiwgd-bench-'));
  const { store } = await openSqliteTaskStore({
    path: join(root, 'tasks.db'),
    clock: systemClock,
    log: silent,
  });
  try {
    return await work(root, store);
  } finally {
    await store[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Tasks a second through queue, agent and outcome, with an agent that ends at once. */
function tasksPerSecond(count) {
  return inStore(async (root, store) => {
    let ended = 0;
    const { promise, resolve } = resolvers();
    const supervisor = supervisorIn(root, store, { provider: 'command', command: ['true'] }, (event) => {
      if (event.type === 'task:failed') console.error(event.payload.error);
      if (['task:completed', 'task:failed'].includes(event.type) && ++ended === count) resolve();
    });
    await Promise.all(Array.from({ length: count }, () => supervisor.submit({ prompt: 'x' })));
    const begin = performance.now();
    await supervisor.start();
    await promise;
    const seconds = (performance.now() - begin) / 1000;
    await supervisor.stop({ graceMs: 0 });
    return count / seconds;
  });
}

function resolvers() {
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The limit: the same program in a plain spawn loop, as many at once. */
async function spawnsPerSecond(count) {
  let left = count;
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: SLOTS }, async () => {
      while (left-- > 0) {
        await new Promise((done) => {
          spawn('true', [], { env: { PATH: process.env.PATH } }).once('close', done);
        });
      }
    }),
  );
  return count / ((performance.now() - begin) / 1000);
}

/** How much memory grows while an agent prints. */
function memoryWhilePrinting(megabytes) {
  return inStore(async (root, store) => {
    const { promise, resolve } = resolvers();
    const command = ['sh', '-c', `head -c ${megabytes * 1024 * 1024} /dev/zero | tr '\\0' 'x' | fold -w 199`];
    const supervisor = supervisorIn(
      root,
      store,
      { provider: 'command', command, output: 'jsonl' },
      (event) => {
        if (event.type === 'task:completed') resolve();
      },
    );
    await supervisor.start();
    const idle = process.memoryUsage.rss();
    let peak = idle;
    const sampler = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss());
    }, 20);
    await supervisor.submit({ prompt: 'x' });
    await promise;
    clearInterval(sampler);
    await supervisor.stop({ graceMs: 0 });
    return { idle: idle / 1e6, growth: (peak - idle) / 1e6 };
  });
}

/** Rows of the table that `npm run bench` prints. */
export async function benchAgents({ short = false } = {}) {
  const count = short ? 50 : 600;
  await spawnsPerSecond(20);
  const limit = await spawnsPerSecond(count);
  const ours = await tasksPerSecond(count);
  const again = await spawnsPerSecond(count);
  const { idle, growth } = await memoryWhilePrinting(short ? 20 : 1024);
  return [
    {
      name: 'tasks/s, agent that ends at once, 2 slots',
      limit: (limit + again) / 2,
      ours,
      unit: '/s',
      goal: '>= 0.5 x',
    },
    {
      name: 'memory while an agent prints 1 GB of lines, above idle',
      limit: idle,
      ours: growth,
      unit: 'MB',
      goal: '<= 25 MB',
    },
  ];
}
