// Those who look on while a round goes: at the processes, at the files, at the events.
import { readFileSync } from 'node:fs';
import { isFinal } from './ledger.mjs';
import { lives, ProcessView, pause } from './processes.mjs';

/** The daemon was killed or stopped. */
const LOST = new Set(['CONNECTION_LOST', 'DAEMON_NOT_RUNNING', 'DAEMON_STOPPING']);
const LOOK_EVERY_MS = 40;
const READ_EVERY_MS = 8;
/** Of its time, a watcher rests this many times as long as it works. */
const REST = 4;

/** Looks at the attempts' processes until `signal`: never two attempts of a task, never more attempts than slots. */
export async function watchProcesses(lab, slots, signal) {
  const view = new ProcessView(lab.project.root);
  while (!signal.aborted) {
    const seen = view.look();
    // Each was seen before this moment and still lives after it: they lived at the same time.
    const attempts = new Map();
    for (const one of seen) if (lives(one)) attempts.set(one.attemptId, one.taskId);
    lab.ledger.counts.looks += 1;
    judgeLook(lab.ledger, attempts, slots());
    await pause(LOOK_EVERY_MS);
  }
}

function judgeLook(ledger, attempts, slots) {
  if (attempts.size > slots) {
    const tasks = [...attempts.values()].join(', ');
    ledger.find('never more attempts than slots', `${attempts.size} attempts with ${slots} slots: ${tasks}`);
  }
  const tasks = [...attempts.values()];
  for (const taskId of new Set(tasks.filter((id, index) => tasks.indexOf(id) !== index))) {
    ledger.find('never two attempts of a task at once', `two attempts of ${taskId} have processes`);
  }
}

/** What has to be readable at every moment; those that are there only while a daemon runs may be missing. */
const FILES = {
  'tasks.json': (text, ledger) => {
    for (const task of JSON.parse(text).tasks) ledger.tell(task, 'tasks.json');
  },
  'state.json': (text) => {
    if (!Number.isInteger(JSON.parse(text).pid)) throw new Error('it names no pid');
  },
  heartbeat: (text) => {
    if (!Number.isInteger(JSON.parse(text).pid)) throw new Error('it names no pid');
  },
  '../daemon.pid': (text) => {
    if (!/^\d+\n?$/.test(text)) throw new Error('it is no pid');
  },
};

/** Reads the daemon's files in a loop until `signal`. */
export async function watchFiles(lab, signal) {
  while (!signal.aborted) {
    for (const name of Object.keys(FILES)) {
      const begun = performance.now();
      readOnce(lab, name);
      await pause(Math.max(READ_EVERY_MS, REST * (performance.now() - begun)));
    }
  }
}

function readOnce({ project, ledger }, name) {
  let text;
  try {
    text = readFileSync(project.file(name), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  ledger.counts.readings += 1;
  try {
    FILES[name](text, ledger);
  } catch (error) {
    const start = JSON.stringify(text.slice(0, 80));
    ledger.find(
      'files are readable at every moment',
      `${name}, ${text.length} bytes, ${start}: ${error.message}`,
    );
  }
}

/** Collects the outcomes that events tell, for as long as this daemon lives. */
export async function watchEvents(lab) {
  const client = await lab.project.connect();
  if (client === undefined) return;
  try {
    for await (const event of client.events(['task:*'])) {
      lab.ledger.counts.events += 1;
      // Progress is told, and not kept.
      if (event.type !== 'task:output') lab.ledger.heard.set(event.id, Date.parse(event.timestamp));
      if (isFinal(event.payload.state)) ended(lab, event);
    }
  } catch (error) {
    if (!LOST.has(error.code)) {
      lab.ledger.find('events are told until the connection is lost', `${error.code}: ${error.message}`);
    }
  } finally {
    client.close();
  }
}

/** The slot of a task that has ended is free: nothing of it may be alive by then. */
function ended({ ledger, project }, { payload }) {
  ledger.tellEvent(payload);
  if (ledger.retriesOf(payload.taskId) > 0) return;
  const left = project.marked().filter((one) => one.taskId === payload.taskId && lives(one));
  if (left.length === 0) return;
  const names = left.map(({ pid, name }) => `${name} (${pid})`).join(', ');
  ledger.find(
    'an ended task has no process',
    `${payload.taskId} is ${payload.state}, and there lives ${names}`,
  );
}
