// Resident memory and CPU: idle, with a full store, while an agent prints, and while a subscriber does not read.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { socketAddress } from '#aiwgd/ipc/running-daemon.js';
import { fillStore } from '../fill-store.mjs';
import { boundRow, inTurns, ratioRow } from '../measure.mjs';
import { cpuSeconds, pause, peakMb, settledMb, until } from '../processes.mjs';
import { BLOCKER, script, withProject } from '../project.mjs';

const IDLE_AGENTS = { agents: { blocker: BLOCKER } };
const GROWTH_MB = 25;

/** Node that waits, as an idle daemon does, started as a user would. */
async function bareNodeMb(environment, seconds) {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e9)'], {
    env: environment,
    stdio: 'ignore',
  });
  try {
    await once(child, 'spawn');
    return await settledMb(child.pid, seconds);
  } finally {
    child.kill('SIGKILL');
  }
}

async function daemonMb(project, seconds) {
  await project.start();
  const held = await settledMb(project.pid, seconds);
  await project.stop();
  return held;
}

export function idleMemory({ stored, settleSeconds, memoryTurns }) {
  return withProject(IDLE_AGENTS, (none) =>
    withProject(IDLE_AGENTS, async (full) => {
      fillStore(full.paths.database, stored);
      const held = await inTurns(memoryTurns, {
        bare: () => bareNodeMb(none.environment, settleSeconds),
        none: () => daemonMb(none, settleSeconds),
        full: () => daemonMb(full, settleSeconds),
      });
      const row = (name, ours) => ratioRow(name, { unit: 'MB', limit: held.bare, ours, most: 1.7 });
      return [
        row('resident memory, idle, no stored tasks', held.none),
        row(`resident memory, idle, ${stored.toLocaleString('en')} stored tasks`, held.full),
      ];
    }),
  );
}

/** A script that prints so many MB of lines. */
function printing(megabytes) {
  const line =
    'a line of a build log, as long as such lines are, with a number and a path in it: src/some/file.ts:120';
  return script(`yes '${line}' | head -c ${megabytes * 1024 * 1024}`);
}

export function printingMemory({ printMb, settleSeconds }) {
  const printer = printing(printMb);
  const agents = { plain: printer, lines: { ...printer, output: 'jsonl' } };
  return withProject({ agents }, async (project) => {
    await project.start();
    const rows = [];
    for (const [agent, label] of Object.entries({ plain: 'text', lines: 'lines that are parsed' })) {
      const idle = await settledMb(project.pid, settleSeconds);
      const client = await project.connect();
      const peak = await peakMb(project.pid, () => endOf(client, agent));
      client.close();
      rows.push(growthRow(`resident memory while an agent prints ${printMb} MB of ${label}`, idle, peak));
    }
    await project.stop();
    return rows;
  });
}

export function slowSubscriber({ printMb, settleSeconds }) {
  return withProject({ agents: { printer: printing(printMb) } }, async (project) => {
    await project.start();
    const idle = await settledMb(project.pid, settleSeconds);
    const client = await project.connect();
    const deaf = connectSocket(socketAddress(project.paths));
    await once(deaf, 'connect');
    deaf.pause();
    const peak = await peakMb(project.pid, async () => {
      const { taskId } = await client.task.submit({ prompt: 'print' });
      const params = { topics: ['**'], taskId, fromOffset: 0 };
      deaf.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscribe', params })}\n`);
      // Many events more than any queue holds, beside the output.
      for (let index = 0; index < 200; index += 1) {
        await client.emit('bench.noise', { index, text: 'x'.repeat(10_000) });
      }
      await until(
        'the task has ended',
        async () => (await client.task.get({ taskId })).completedAt !== null,
        300_000,
      );
    });
    deaf.destroy();
    await project.stop();
    return [growthRow(`the same, ${printMb} MB, with a subscriber that does not read`, idle, peak)];
  });
}

async function endOf(client, agent) {
  const { taskId } = await client.task.submit({ prompt: 'print', agent });
  let task;
  await until(
    'the task has ended',
    async () => {
      task = await client.task.get({ taskId });
      return task.completedAt !== null;
    },
    300_000,
  );
  if (task.state !== 'completed') throw new Error(`${agent}: ${task.state}: ${task.error}`);
}

function growthRow(name, idle, peak) {
  return boundRow(name, {
    unit: 'MB',
    limit: idle,
    ours: peak - idle,
    most: GROWTH_MB,
    note: 'limit: idle; ours: what comes on top',
  });
}

export function idleCpu({ cpuWindowSeconds, settleSeconds }) {
  return withProject(IDLE_AGENTS, async (project) => {
    await project.start();
    await pause(settleSeconds * 1000);
    const before = cpuSeconds(project.pid);
    await pause(cpuWindowSeconds * 1000);
    const used = cpuSeconds(project.pid) - before;
    await project.stop();
    return [
      boundRow('CPU, idle, a minute', {
        unit: 's',
        ours: (used * 60) / cpuWindowSeconds,
        most: 0.05,
        note: `over ${cpuWindowSeconds} s`,
      }),
    ];
  });
}
