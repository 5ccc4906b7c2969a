import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { DeadLetters } from '#aiwgd/events/dead-letters.js';
import { EventHistory } from '#aiwgd/events/event-history.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { importOriginal } from '#aiwgd/tasks/import-original.js';
import { mulberry, seedOf } from '../support/random.js';
import { tempFolder } from '../support/temp.js';

const ROUNDS = Number(process.env['AIWGD_KILL_ROUNDS'] ?? 12);
const WHOLE = ['state.json', 'heartbeat', 'tasks.json', 'dead-letters.json'];

/** Reads every file once; throws where one is there and not whole. Answers how many were there. */
function readAll(folder: string): number {
  let found = 0;
  for (const name of WHOLE) {
    try {
      JSON.parse(readFileSync(join(folder, name), 'utf8'));
      found += 1;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        throw new Error(`${name} is no JSON`, { cause: error });
    }
  }
  return found;
}

/** Runs the writer, reading all the while, and kills it at a random moment. */
async function writeUntilKilled(folder: string, random: () => number): Promise<void> {
  const script = fileURLToPath(new URL('files-writer.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  try {
    await once(child.stdout, 'data');
    const end = performance.now() + random() * 80;
    // The first one lives until there is something to read.
    while (readAll(folder) < WHOLE.length || performance.now() < end) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
}

it(
  `the files beside the database can be read at any moment, also after ${ROUNDS} kills of their writer`,
  async ({ annotate }) => {
    const seed = seedOf();
    await annotate(`seed ${seed}`);
    const random = mulberry(seed);
    const folder = tempFolder();
    const warnings: unknown[] = [];
    const tell = (...said: unknown[]): void => void warnings.push(said);
    const log = { debug: tell, info: tell, warn: tell, error: tell };
    const clock = systemClock;
    for (let round = 0; round < ROUNDS; round += 1) {
      await writeUntilKilled(folder, random);
      readAll(folder);
      // What the next daemon makes of them: at most one line of the history was cut off.
      new EventHistory({ directory: folder, clock, log }).close();
      new DeadLetters({ directory: folder, clock, log, newId: () => 'n', redeliver: async () => {} }).close();
    }
    expect(readAll(folder)).toBe(WHOLE.length);
    expect(await importOriginal(join(folder, 'tasks.json'))).toHaveLength(60);
    expect(warnings.filter((said) => JSON.stringify(said).includes('damaged')).length).toBeLessThanOrEqual(
      ROUNDS,
    );
    const names = readdirSync(folder).filter((name) => !name.endsWith('.tmp'));
    expect(names.filter((name) => !name.startsWith('history.jsonl')).toSorted()).toEqual(WHOLE.toSorted());
    // One for each file at most, however many kills there were.
    expect(readdirSync(folder).length - names.length).toBeLessThanOrEqual(WHOLE.length);
  },
  20_000 + ROUNDS * 1000,
);
