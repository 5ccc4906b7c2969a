// Tasks a second through queue, agent and outcome, against a loop that only spawns.
import { spawn } from 'node:child_process';
import { inParallel, inTurns, perSecond, ratioRow } from '../measure.mjs';
import { until } from '../processes.mjs';
import { untilFilesAreCheap, withProject } from '../project.mjs';

const SLOTS = 2;
const QUICK = { provider: 'command', command: ['true'] };

export function throughput({ turns, tasks }) {
  return withProject({ agents: { quick: QUICK }, parallel: SLOTS }, async (project) => {
    await untilFilesAreCheap();
    await project.start();
    const client = await project.connect();
    const rates = await inTurns(
      turns,
      {
        spawns: () => perSecond(tasks, () => spawnLoop(tasks, project.environment)),
        tasks: () => perSecond(tasks, () => runTasks(client, tasks)),
      },
      { warmUp: true },
    );
    await project.stop();
    return [
      ratioRow(`tasks/s, agent that ends at once, ${SLOTS} slots`, {
        unit: '/s',
        limit: rates.spawns,
        ours: rates.tasks,
        least: 0.5,
      }),
    ];
  });
}

/** From the first submit to the last outcome that is stored. */
export async function runTasks(client, count) {
  const { completed: before } = await client.task.stats();
  await inParallel(count, 64, () => client.task.submit({ prompt: 'x' }));
  await until('all tasks have run', async () => (await client.task.stats()).completed >= before + count);
}

/** The limit: the same program in a plain spawn loop, as many at once. */
function spawnLoop(count, environment) {
  const env = { PATH: environment.PATH };
  return inParallel(
    count,
    SLOTS,
    () =>
      new Promise((resolve, reject) => {
        spawn('true', [], { env }).once('error', reject).once('close', resolve);
      }),
  );
}
