// Submits tasks to the database of argv[2] and prints the id of each one that the store acknowledged, until it is killed.
import { systemClock } from '#aiwgd/platform/clock.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';
import { newTask } from '#aiwgd/testing/index.js';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const { store } = await openSqliteTaskStore({ path: process.argv[2], clock: systemClock, log });

async function submitForEver() {
  for (;;) {
    const [{ id }] = await store.submit([newTask({ prompt: 'x'.repeat(500) })]);
    // Pipes are written synchronously, so an id is out before the next task is handed in.
    process.stdout.write(`${id}\n`);
  }
}
await Promise.all(Array.from({ length: 8 }, submitForEver));
