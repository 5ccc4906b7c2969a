import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { endNow, tempFolder, until } from '../support/temp.js';

const WRITER = fileURLToPath(new URL('./schedule-writer.mjs', import.meta.url));
const MINUTE = 60_000;
const NOON = Date.UTC(2026, 4, 5, 12);
const ROUNDS = 4;

it('fires every slot exactly once, however often it is killed', async () => {
  const path = join(tempFolder(), 'automation.db');
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const db = new StateDatabase({ path, clock: new FakeClock(), log });
  onTestFinished(() => db.close());
  db.exec('CREATE TABLE effects (slot INTEGER)');
  const count = (): number => Number(db.get('SELECT count(*) AS n FROM effects')?.['n']);
  for (let round = 0; round < ROUNDS; round += 1) {
    const last = Number(db.get('SELECT max(slot) AS slot FROM effects')?.['slot'] ?? NOON);
    const before = count();
    // It was down for some minutes, the first time it is new.
    const wall = last + (round * 3 + 0.5) * MINUTE;
    const child = spawn(process.execPath, [WRITER, path, String(wall)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => endNow(child.pid!));
    await once(child.stdout, 'data');
    await until('some slots fired', () => count() > before + 20 + round);
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const slots = db.all('SELECT slot FROM effects ORDER BY rowid').map(({ slot }) => Number(slot));
  expect(slots).toEqual(slots.map((_, index) => NOON + (index + 1) * MINUTE));
  expect(db.get('SELECT last_slot, settled FROM cron_slots')).toEqual({
    last_slot: slots.at(-1),
    settled: slots.at(-1),
  });
});
