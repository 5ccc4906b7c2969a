// How soon everything is watched, beside a plain walk over the same folders.
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { watchSchema } from '#aiwgd/protocol/config/source-sections.js';
import { FileWatcher } from '#aiwgd/sources/watch/file-watcher.js';
import { inTurns, milliseconds, ratioRow } from '../measure.mjs';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
/** Of a hundred files, so many are the project's own; the others are what packages bring. */
const OWN_OF_HUNDRED = 8;
const FILES_A_FOLDER = 5;
const WATCH = v.parse(watchSchema, { paths: ['.'] });

export async function watcher({ turns, watchedFiles }) {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-bench-watch-'));
  try {
    const count = watchedFiles.toLocaleString('en');
    const all = join(folder, 'all');
    const packages = join(folder, 'packages');
    fill(all, 'vendor', watchedFiles);
    fill(packages, 'node_modules', watchedFiles);
    return [
      await readyRow(`watcher ready, ${count} files (limit: walk)`, all, turns),
      await readyRow(`watcher ready, ${count} files, node_modules ignored (limit: walk)`, packages, turns),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function readyRow(name, root, turns) {
  const took = await inTurns(
    Math.min(turns, 5),
    { walk: () => milliseconds(() => walk(root)), ready: () => ready(root) },
    { warmUp: true },
  );
  return ratioRow(name, { unit: 'ms', limit: took.walk, ours: took.ready, most: 4 });
}

/** A start with nothing known yet, up to the moment in which every change is seen. */
async function ready(root) {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-bench-state-'));
  const db = new StateDatabase({ path: join(folder, 'state.db'), clock: systemClock, log: silent });
  const watching = new FileWatcher({
    root,
    config: WATCH,
    db,
    clock: systemClock,
    log: silent,
    publish: (event) => ({ ...event, id: '', timestamp: '' }),
    onFault: (code, error) => {
      if (error !== undefined) throw new Error(`${code}: ${error.message}`);
    },
  });
  try {
    return await milliseconds(() => watching.start());
  } finally {
    await watching.close();
    db.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What any watcher has to do at least: list every folder, look at every file; not in node_modules. */
function walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (!entry.isDirectory()) lstatSync(path);
    else if (entry.name !== 'node_modules') walk(path);
  }
}

function fill(root, others, count) {
  const own = Math.round((count * OWN_OF_HUNDRED) / 100);
  for (let index = 0; index < count; index += 1) {
    const folder = Math.floor(index / FILES_A_FOLDER);
    const top = index < own ? `src/part${folder % 50}` : `${others}/package${folder % 1_000}`;
    const path = join(root, top, `folder${folder}`);
    if (index % FILES_A_FOLDER === 0) mkdirSync(path, { recursive: true });
    writeFileSync(join(path, `file${index}.js`), '');
  }
  writeFileSync(join(root, '.gitignore'), 'dist/\n*.log\n.env\ncoverage\n/build\n.cache/\n');
}
