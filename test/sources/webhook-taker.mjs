// Receives webhooks into the database that it is given, until it is killed. Prints its port.
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { WebhookReceiver } from '#aiwgd/sources/webhook/webhook-receiver.js';

const [path, secret] = process.argv.slice(2);
const quiet = () => {};
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const db = new StateDatabase({ path, clock: systemClock, log });
db.exec('CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, delivery TEXT NOT NULL)');
const receiver = new WebhookReceiver({
  config: {
    enabled: true,
    host: '127.0.0.1',
    port: 0,
    secret_env: 'SECRET',
    endpoints: [{ path: '/ci', method: 'POST' }],
  },
  environment: { SECRET: secret },
  db,
  clock: systemClock,
  log,
  publish: (event) => {
    const { id } = db.run('INSERT INTO events (delivery) VALUES (?)', event.payload.delivery);
    return { ...event, id: String(id), timestamp: '' };
  },
  health: () => ({ status: 'healthy' }),
  onFault: quiet,
});
await receiver.listen();
process.stdout.write(`${receiver.status().port}\n`);
