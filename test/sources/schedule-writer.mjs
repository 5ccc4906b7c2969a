// Keeps a job of every minute over a clock that runs as fast as it can, from the moment given, until it is killed.
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { CronScheduler } from '#aiwgd/sources/schedule/cron-scheduler.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';

const [path, wall] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const clock = new FakeClock(Number(wall));
const db = new StateDatabase({ path, clock, log });
db.exec('CREATE TABLE IF NOT EXISTS effects (slot INTEGER)');
const job = { id: 'job', cron: '* * * * *', timezone: 'UTC', catchUp: 'all', enabled: true, kind: 'job' };
const scheduler = new CronScheduler({
  db,
  clock,
  log,
  entries: [job],
  onSlot: ({ slot }) => db.run('INSERT INTO effects VALUES (?)', slot),
  onFault: (_code, error) => {
    if (error !== undefined) throw error;
  },
});
scheduler.start();
process.stdout.write('started\n');
function goOn() {
  clock.advance(60_000);
  setImmediate(goOn);
}
goOn();
