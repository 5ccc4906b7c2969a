// Writes what the daemon keeps beside its database, as fast as it can, until it is killed.
import { join } from 'node:path';
import { StateFile } from '#aiwgd/daemon/state-file.js';
import { DeadLetters } from '#aiwgd/events/dead-letters.js';
import { EventHistory } from '#aiwgd/events/event-history.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { TasksExport } from '#aiwgd/tasks/tasks-export.js';
import { MemoryTaskStore, newTask } from '#aiwgd/testing/index.js';

const [folder] = process.argv.slice(2);
const path = (name) => join(folder, name);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const fail = (error) => {
  if (error !== undefined && error !== null) throw error;
};
// No pauses.
const clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic(),
  setTimer: (_ms, run) => systemClock.setTimer(0, run),
};

const store = new MemoryTaskStore(systemClock);
await store.submit(Array.from({ length: 60 }, () => newTask({ prompt: 'p'.repeat(2000) })));
const tasks = new TasksExport({ store, path: path('tasks.json'), clock, log, onFault: fail });
const state = new StateFile({
  paths: { state: path('state.json'), heartbeat: path('heartbeat') },
  clock,
  heartbeatSeconds: 1,
  uptimeSeconds: () => 1,
  snapshot: async () => ({ filler: 'x'.repeat(Math.random() * 20_000) }),
  onHeartbeat: () => {},
  onFault: fail,
});
const history = new EventHistory({ directory: folder, clock, log, onFault: fail });
const letters = new DeadLetters({
  directory: folder,
  clock,
  log,
  newId: () => String(Math.random()),
  redeliver: async () => {},
  onFault: fail,
});
await state.start();
process.stdout.write('up\n');
for (let n = 0; ; n += 1) {
  const event = {
    id: `e${n}`,
    type: 'a.b',
    source: 's',
    timestamp: '',
    payload: { text: 'x'.repeat(n % 500) },
  };
  history.add(event, 600);
  letters.add({ event, subscriber: 's', error: 'e', attempts: 1 });
  if (letters.size > 50) letters.drop(letters.list()[0].id);
  tasks.changed();
  await new Promise((resolve) => setImmediate(resolve));
}
