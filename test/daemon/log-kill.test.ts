import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { LogFile } from '#aiwgd/daemon/log-file.js';
import { mulberry, seedOf } from '../support/random.js';
import { tempFolder } from '../support/temp.js';

const ROUNDS = Number(process.env['AIWGD_KILL_ROUNDS'] ?? 25);
const MAX_BYTES = 400;
const MAX_FILES = 4;

/** Runs a writer from line `first` on and kills it at a random moment; answers the last line that it was sure of. */
async function writeUntilKilled(path: string, first: number, random: () => number): Promise<number> {
  const script = fileURLToPath(new URL('log-writer.mjs', import.meta.url));
  const args = [script, path, String(first), String(MAX_BYTES), String(MAX_FILES)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (told === '') setTimeout(() => child.kill('SIGKILL'), random() * 25);
    told += text;
  });
  await once(child, 'close');
  return Number(told.slice(0, told.lastIndexOf('\n')).split('\n').at(-1));
}

/** All lines, oldest first, whatever gaps a cut rotation left in the names. */
function numbersIn(folder: string): number[] {
  return readdirSync(folder)
    .toSorted((a, b) => numberOf(b) - numberOf(a))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => (JSON.parse(line) as { n: number }).n);
}

function numberOf(name: string): number {
  return Number(name.split('.')[2] ?? 0);
}

describe('a log whose writer is killed', () => {
  it(
    `at ${ROUNDS} random moments loses no line, tears none, and stays within its bounds`,
    async ({ annotate }) => {
      const seed = seedOf();
      await annotate(`seed ${seed}`);
      const random = mulberry(seed);
      const folder = tempFolder();
      const path = join(folder, 'daemon.log');
      let next = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const sure = await writeUntilKilled(path, next, random);
        // Put right as a start does it.
        new LogFile({ path, maxBytes: MAX_BYTES, maxFiles: MAX_FILES, onFault: () => {} }).close();
        const names = readdirSync(folder);
        expect(names.length).toBeLessThanOrEqual(MAX_FILES + 1);
        for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(MAX_BYTES);
        const numbers = numbersIn(folder);
        const last = numbers.at(-1) ?? -1;
        expect(last).toBeGreaterThanOrEqual(sure);
        expect(numbers).toEqual(Array.from(numbers, (_n, index) => last - numbers.length + 1 + index));
        // A cut rotation costs nothing that would have been kept otherwise.
        if (last > 100) expect(names.length).toBeGreaterThanOrEqual(MAX_FILES);
        next = last + 1;
      }
    },
    20_000 + ROUNDS * 1000,
  );

  it('in the middle of a rotation goes on without pushing a file out before its time', () => {
    const folder = tempFolder();
    const path = join(folder, 'daemon.log');
    // `.2` has become `.3`, and then it was killed.
    for (const [name, n] of [
      ['.5', 1],
      ['.4', 2],
      ['.3', 3],
      ['.1', 4],
      ['', 5],
    ] as const) {
      writeFileSync(path + name, `${JSON.stringify({ n, text: 'x'.repeat(80) })}\n`);
    }
    const log = new LogFile({ path, maxBytes: 100, maxFiles: 5, onFault: () => {} });
    log.write(`${JSON.stringify({ n: 6, text: 'x'.repeat(80) })}\n`);
    log.close();
    expect(numbersIn(folder)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('in the middle of a line loses only that line', () => {
    const path = join(tempFolder(), 'daemon.log');
    writeFileSync(path, `{"n":1}\n{"n":2,"text":"${'x'.repeat(10_000)}`);
    const log = new LogFile({ path, maxBytes: 100_000, maxFiles: 5, onFault: () => {} });
    log.write('{"n":3}\n');
    log.close();
    expect(readFileSync(path, 'utf8')).toBe('{"n":1}\n{"n":3}\n');
  });

  it('leaves no more files than asked for, and those of other programs alone', () => {
    const folder = tempFolder();
    const path = join(folder, 'daemon.log');
    for (const name of ['.1', '.3', '.7', '.20261122', '.gz']) writeFileSync(path + name, '');
    new LogFile({ path, maxBytes: 100, maxFiles: 2, onFault: () => {} }).close();
    expect(readdirSync(folder).toSorted()).toEqual([
      'daemon.log',
      'daemon.log.1',
      'daemon.log.2',
      'daemon.log.20261122',
      'daemon.log.gz',
    ]);
    expect(existsSync(`${path}.3`)).toBe(false);
  });
});
