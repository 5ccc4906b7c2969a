// Publishes 100 events, waits until they are due on disk, publishes more and says so; then waits to be killed.
import { EventRouter } from '#aiwgd/events/event-router.js';
import { systemClock } from '#aiwgd/platform/clock.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const router = new EventRouter({ directory: process.argv[2], clock: systemClock, log: quiet });
const publish = (n) => router.publish({ type: 'a', source: 'test', payload: { n } });
for (let n = 1; n <= 100; n += 1) publish(n);
systemClock.setTimer(1050, () => {
  for (let n = 101; n <= 200; n += 1) publish(n);
  process.stdout.write('second batch\n');
  systemClock.setTimer(60_000, () => process.exit(1));
});
