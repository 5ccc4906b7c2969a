// Runs tasks of the database of argv[2], each charged for with its end, and prints the id of each one whose end the store
// acknowledged, until it is killed.
import { systemClock } from '#aiwgd/platform/clock.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';
import { charge, DONE, newTask } from '#aiwgd/testing/index.js';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const { store } = await openSqliteTaskStore({ path: process.argv[2], clock: systemClock, log });

async function workForEver() {
  for (;;) {
    await store.submit([newTask()]);
    const [claim] = await store.claim({ owner: 'me', limit: 1, leaseMs: 60_000 });
    if (claim === undefined) continue;
    const { token, task, attemptId } = claim;
    const end = { ...DONE, costUsd: null, charge: charge({ attemptId }) };
    // A writer that was not answered hands the same end in again.
    const held = await Promise.all([store.finish(token, end), store.finish(token, end)]);
    // Pipes are written synchronously, so an id is out before the next task is begun.
    if (held.includes(true)) process.stdout.write(`${task.id}\n`);
  }
}
await Promise.all(Array.from({ length: 4 }, workForEver));
