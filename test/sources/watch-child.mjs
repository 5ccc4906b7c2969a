// Watches a folder as the daemon does and writes what it reports into a table of the same database, until it is killed.
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { FileWatcher } from '#aiwgd/sources/watch/file-watcher.js';

const [root, path, config] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const db = new StateDatabase({ path, clock: systemClock, log });
db.exec('CREATE TABLE IF NOT EXISTS reports (id INTEGER PRIMARY KEY, type TEXT, path TEXT)');
const watcher = new FileWatcher({
  root,
  config: JSON.parse(config),
  db,
  clock: systemClock,
  log,
  publish: (event) => {
    db.run('INSERT INTO reports (type, path) VALUES (?, ?)', event.type, event.payload.path);
    return { ...event, id: '', timestamp: '' };
  },
  pollPauseMs: 200,
  watchAgainMs: 1000,
  onFault: (code, error) => process.stdout.write(`fault ${code} ${error?.message ?? 'over'}\n`),
});
await watcher.start();
process.stdout.write('ready\n');
// The watches alone keep no process alive.
setInterval(() => process.stdout.write(`status ${JSON.stringify(watcher.status())}\n`), 50);
