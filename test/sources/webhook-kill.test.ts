import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { tempFolder } from '../support/temp.js';
import { SECRET, sign } from './webhook-harness.js';

const TAKER = fileURLToPath(new URL('webhook-taker.mjs', import.meta.url));
const KILLS = 4;
const PER_LIFE = 25;

async function startTaker(path: string): Promise<{ port: string; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, [TAKER, path, SECRET], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string];
  const gone = once(child, 'exit');
  return {
    port,
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Undefined where the receiver was gone before it answered. */
async function post(port: string, delivery: string): Promise<number | undefined> {
  try {
    const headers = { 'x-hub-signature-256': sign(delivery), 'x-aiwg-delivery': delivery };
    const reply = await fetch(`http://127.0.0.1:${port}/ci`, { method: 'POST', body: delivery, headers });
    return reply.status;
  } catch {
    return undefined;
  }
}

test('a kill -9 loses no event that was answered for, and a repetition after it makes no second one', async () => {
  const path = join(tempFolder(), 'automation.db');
  const sent: string[] = [];
  const taken = new Set<string>();
  for (let life = 0; life < KILLS; life += 1) {
    const { port, kill } = await startTaker(path);
    const deliveries = Array.from({ length: PER_LIFE }, (_, count) => `d-${life}-${count}`);
    let killed: Promise<void> | undefined;
    await Promise.all(
      deliveries.map(async (delivery, count) => {
        const status = await post(port, delivery);
        if (status === 202) taken.add(delivery);
        // In the middle of what others are waiting for.
        if (count === 2 + life * 5) killed = kill();
      }),
    );
    await (killed ?? kill());
    sent.push(...deliveries);
  }
  const { port, kill } = await startTaker(path);
  // The limits are for senders from outside; all of these are repetitions or late.
  const statuses = [];
  for (const delivery of sent.slice(0, 50)) statuses.push(await post(port, delivery));
  await kill();

  const nothing = (): void => undefined;
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const db = new StateDatabase({ path, clock: systemClock, log });
  onTestFinished(() => db.close());
  const stored = db.all('SELECT delivery FROM events').map(({ delivery }) => String(delivery));
  expect(new Set(stored).size).toBe(stored.length);
  expect(stored).toEqual(expect.arrayContaining([...taken, ...sent.slice(0, 50)]));
  expect(statuses.every((status) => status === 200 || status === 202)).toBe(true);
  expect(statuses).toContain(200);
});
