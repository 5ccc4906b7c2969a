// A store full of finished tasks against an empty one: submit, claim, list, stats, start.
import { systemClock } from '#aiwgd/platform/clock.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';
import { newTask } from '#aiwgd/testing/index.js';
import { fillStore } from '../fill-store.mjs';
import { inParallel, inTurns, milliseconds, perSecond, ratioRow } from '../measure.mjs';
import { BLOCKER, withProject } from '../project.mjs';

const PROMPT = 'Look at the failing test, mend it and say what you did.';
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const OPTIONS = { agents: { blocker: BLOCKER }, parallel: 1 };
const AGAIN = 5;

export function largeStore(sizes) {
  return withProject(OPTIONS, (none) =>
    withProject(OPTIONS, async (full) => {
      fillStore(full.paths.database, sizes.stored);
      const stored = `${sizes.stored.toLocaleString('en')} stored tasks`;
      return [
        await startRow(none, full, stored, sizes),
        await claimRow(none, full, stored, sizes),
        ...(await daemonRows(none, full, stored, sizes)),
      ];
    }),
  );
}

/** How long a start took; the stop is not counted. */
async function startAndStop(project) {
  const took = await milliseconds(() => project.run('start'));
  await project.stop();
  return took;
}

async function startRow(none, full, stored, { turns }) {
  const took = await inTurns(
    turns,
    { none: () => startAndStop(none), full: () => startAndStop(full) },
    { warmUp: true },
  );
  return ratioRow(`\`start\` with ${stored} (limit: with none)`, {
    unit: 'ms',
    limit: took.none,
    ours: took.full,
    most: 1.3,
  });
}

async function openStore({ paths }) {
  const { store } = await openSqliteTaskStore({ path: paths.database, clock: systemClock, log: silent });
  return store;
}

/** Straight at the store: through the daemon, starting the agent would hide what a claim costs. */
async function claimRow(none, full, stored, { turns, claims }) {
  const stores = { none: await openStore(none), full: await openStore(full) };
  try {
    const rates = await inTurns(
      turns,
      {
        none: () => perSecond(claims, () => claimAndFinish(stores.none, claims)),
        full: () => perSecond(claims, () => claimAndFinish(stores.full, claims)),
      },
      { warmUp: true },
    );
    return ratioRow(`submit, claim, finish with ${stored} (limit: with none)`, {
      unit: '/s',
      limit: rates.none,
      ours: rates.full,
      least: 0.85,
    });
  } finally {
    for (const store of Object.values(stores)) await store[Symbol.asyncDispose]();
  }
}

async function claimAndFinish(store, count) {
  for (let index = 0; index < count; index += 1) {
    await store.submit([newTask({ prompt: PROMPT })]);
    const [claim] = await store.claim({ owner: 'bench', limit: 1, leaseMs: 60_000 });
    await store.finish(claim.token, outcome());
  }
}

function outcome() {
  return {
    state: 'completed',
    result: 'Done.',
    error: null,
    exitCode: 0,
    signal: null,
    sessionId: null,
    costUsd: null,
    usage: null,
    outputBytes: 5,
    charge: null,
  };
}

async function daemonRows(none, full, stored, { turns, submits, lists }) {
  const clients = {};
  for (const [name, project] of Object.entries({ none, full })) {
    await project.start();
    clients[name] = await project.connect();
    await clients[name].task.submit({ prompt: 'hold' });
    // A page of a hundred on both sides.
    await inParallel(100, 64, () => clients[name].task.submit({ prompt: 'x' }));
  }
  const measure = (call) =>
    inTurns(turns, { none: () => call(clients.none), full: () => call(clients.full) }, { warmUp: true });
  const rates = {
    submit: await measure((client) =>
      perSecond(submits, () => inParallel(submits, 1, () => client.task.submit({ prompt: 'x' }))),
    ),
    list: await measure((client) => perSecond(lists, () => inParallel(lists, 1, () => client.task.list({})))),
    stats: await measure((client) =>
      perSecond(lists * AGAIN, () => inParallel(lists * AGAIN, 1, () => client.task.stats())),
    ),
  };
  for (const project of [none, full]) await project.stop();
  const names = { submit: 'submit', list: 'list of 100', stats: 'stats' };
  return Object.entries(rates).map(([kind, rate]) =>
    ratioRow(`${names[kind]} with ${stored} (limit: with none)`, {
      unit: '/s',
      limit: rate.none,
      ours: rate.full,
      least: 0.85,
    }),
  );
}
