// kill -9 under load: what was acknowledged is there, and an outcome that was told stays as it was told.
import { AiwgdError } from '#aiwgd/ipc/client.js';
import { boundRow, inParallel } from '../measure.mjs';
import { pause } from '../processes.mjs';
import { script, withProject } from '../project.mjs';

const SUBMITTERS = 4;
/** For each client and round, so that the queue stays of a size that the agents get through. */
const MOST_SUBMITS = 15;
const LONGEST_LIFE_MS = 400;
const AGENTS = { quick: script('exit $(( $$ % 2 ))'), slow: script('sleep 0.05; echo done') };
const ENDINGS = ['task:completed', 'task:failed', 'task:timeout', 'task:cancelled'];

/** Random numbers from 0 to 1 that a seed gives again (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function crashes({ rounds, seed }) {
  return withProject({ agents: AGENTS }, async (project) => {
    const next = random(seed);
    const acknowledged = new Set();
    const outcomes = new Map();
    for (let round = 0; round < rounds; round += 1) {
      await project.start();
      const load = await underLoad(project, acknowledged, outcomes);
      await pause(next() * LONGEST_LIFE_MS);
      await project.kill();
      await load.over;
      project.disconnect();
    }
    await project.start();
    const client = await project.connect();
    const lost = [];
    await inParallel(acknowledged.size, 64, async (index) => {
      const id = [...acknowledged][index - 1];
      if ((await find(client, id)) === undefined) lost.push(id);
    });
    const changed = [];
    await inParallel(outcomes.size, 64, async (index) => {
      const [id, told] = [...outcomes][index - 1];
      const task = await find(client, id);
      if (task === undefined || JSON.stringify(ending(task)) !== JSON.stringify(told)) changed.push(id);
    });
    await project.stop();
    for (const id of [...lost, ...changed]) console.error(`lost or changed: ${id}`);
    const note = `${acknowledged.size} acknowledged, ${outcomes.size} outcomes told, seed ${seed}`;
    return [
      boundRow(`acknowledged tasks lost in ${rounds} kill -9`, {
        unit: '',
        ours: lost.length,
        most: 0,
        note,
      }),
      boundRow(`told outcomes changed in ${rounds} kill -9`, {
        unit: '',
        ours: changed.length,
        most: 0,
        note,
      }),
    ];
  });
}

/** Four clients that submit, and one that collects outcomes, until the daemon is gone. */
async function underLoad(project, acknowledged, outcomes) {
  const watcher = await project.connect();
  const events = watcher.events(ENDINGS);
  await events.ready;
  const collecting = collect(watcher, events, outcomes);
  const submitters = [];
  for (let index = 0; index < SUBMITTERS; index += 1)
    submitters.push(submitting(await project.connect(), acknowledged));
  return { over: Promise.all([collecting, ...submitters]) };
}

async function submitting(client, acknowledged) {
  try {
    for (let index = 0; index < MOST_SUBMITS; index += 1) {
      const agent = index % 5 === 0 ? 'slow' : 'quick';
      const { taskId } = await client.task.submit({ prompt: `step ${index}`, agent });
      acknowledged.add(taskId);
    }
  } catch (error) {
    ifNotLost(error);
  }
}

async function collect(client, events, outcomes) {
  try {
    for await (const { payload } of events) {
      const task = await client.task.get({ taskId: payload.taskId });
      outcomes.set(task.id, ending(task));
    }
  } catch (error) {
    ifNotLost(error);
  }
}

function ending({ state, exitCode, completedAt, attempt }) {
  return { state, exitCode, completedAt, attempt };
}

async function find(client, taskId) {
  try {
    return await client.task.get({ taskId });
  } catch (error) {
    if (error instanceof AiwgdError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** The daemon was killed under the client: that is the point. Anything else is a fault. */
function ifNotLost(error) {
  const codes = ['CONNECTION_LOST', 'DAEMON_NOT_RUNNING', 'DAEMON_STOPPING'];
  if (!(error instanceof AiwgdError && codes.includes(error.code))) throw error;
}
