// From a file that is written to the agent that was started because of it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { boundRow } from '../measure.mjs';
import { pause } from '../processes.mjs';
import { untilFilesAreCheap, withProject } from '../project.mjs';

const DEBOUNCE_MS = 1;
/** A file without a task after this time counts as lost. */
const PATIENCE_MS = 5_000;
const QUICK = { provider: 'command', command: ['true'] };
const CONFIG = {
  watch: { paths: ['inbox/'], debounce_ms: DEBOUNCE_MS },
  rules: [
    {
      id: 'react',
      trigger: { type: 'file_change', pattern: 'inbox/**', events: ['create'] },
      action: { type: 'submit_task', prompt: '{{payload.path}}', wait: false },
      mode: 'parallel',
      max: 1_000,
      max_per_hour: 100_000,
      // The next file is written while the task of the one before is at work.
      allow_self: true,
    },
  ],
};

export function reaction({ reactions }) {
  return withProject({ agents: { quick: QUICK }, config: CONFIG }, async (project) => {
    await untilFilesAreCheap();
    const inbox = join(project.root, 'inbox');
    mkdirSync(inbox);
    await project.start();
    const client = await project.connect();
    const events = client.events(['task:started', 'file.create']);
    await events.ready;
    const watcher = new Starts(events);
    const took = [];
    for (let index = 0; index < reactions; index += 1) {
      const path = `inbox/${index}.txt`;
      const started = watcher.startOf(path);
      const begin = performance.now();
      writeFileSync(join(project.root, path), 'x');
      const at = await Promise.race([started, pause(PATIENCE_MS)]);
      if (at !== undefined) took.push(at - begin - DEBOUNCE_MS);
    }
    const sorted = took.toSorted((a, b) => a - b);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    await project.stop();
    await watcher.over;
    const row = (name, ours, most) => boundRow(name, { unit: 'ms', ours, most, limit: DEBOUNCE_MS });
    return [
      row(`file written → task started, debounce ${DEBOUNCE_MS} ms, p50 beyond it`, at(0.5), 5),
      row(`file written → task started, debounce ${DEBOUNCE_MS} ms, p99 beyond it`, at(0.99), 15),
      boundRow(`of ${reactions} files written, without a task`, {
        unit: '',
        ours: reactions - took.length,
        most: 0,
      }),
    ];
  });
}

/** Tells when the first task of a file was started. */
class Starts {
  #paths = new Map();
  #waiting = new Map();

  constructor(events) {
    this.over = this.#collect(events);
  }

  /** Resolves to the moment; asked before the file is written. */
  startOf(path) {
    return new Promise((resolve) => {
      this.#waiting.set(path, resolve);
    });
  }

  async #collect(events) {
    try {
      for await (const event of events) {
        if (event.type === 'file.create') this.#paths.set(event.id, event.payload.path);
        else this.#waiting.get(this.#paths.get(event.cause))?.(performance.now());
      }
    } catch (error) {
      // The daemon was stopped: that ends the stream.
      if (error?.code !== 'CONNECTION_LOST') throw error;
    }
  }
}
