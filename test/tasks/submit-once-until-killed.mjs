// Submits the tasks `name 0`, `name 1`, … once each to the database of argv[2], always from the first on, and prints the
// number and the id of each that the store acknowledged, until it is killed.
import { systemClock } from '#aiwgd/platform/clock.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';
import { newTask } from '#aiwgd/testing/index.js';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const { store } = await openSqliteTaskStore({ path: process.argv[2], clock: systemClock, log });

for (let number = 0; ; number += 1) {
  const [{ id }] = await store.submit([newTask({ once: `name ${number}`, launch: { event: { number } } })]);
  // Pipes are written synchronously, so an id is out before the next task is handed in.
  process.stdout.write(`${number} ${id}\n`);
}
