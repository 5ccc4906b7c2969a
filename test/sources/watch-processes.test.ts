import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { mulberry, seedOf } from '../support/random.js';
import { endNow, tempFolder, until } from '../support/temp.js';
import { silent, watchConfig } from './watching.js';

const CHILD = fileURLToPath(new URL('watch-child.mjs', import.meta.url));

class WatchingProcess {
  readonly #child: ChildProcess;
  output = '';

  constructor(root: string, database: string, section: object = {}, around: string[] = []) {
    const command = [
      ...around,
      process.execPath,
      CHILD,
      root,
      database,
      JSON.stringify(watchConfig(section)),
    ];
    this.#child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout!.on('data', (chunk) => {
      this.output += String(chunk);
    });
    onTestFinished(() => endNow(this.#child.pid!));
  }

  async ready(): Promise<this> {
    await until('it watches', () => this.output.includes('ready\n') || this.#child.exitCode !== null);
    expect(this.#child.exitCode).toBe(null);
    return this;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await until('it is gone', () => this.#child.signalCode !== null);
  }

  /** Resolves when nothing has waited for three reports of its status. */
  async settled(): Promise<void> {
    const from = this.output.length;
    await until('nothing waits', () =>
      this.output
        .slice(from)
        .split('\n')
        .slice(-4, -1)
        .every((line, _, lines) => lines.length === 3 && line.includes('"waiting":0')),
    );
  }
}

function reportsIn(path: string): string[] {
  const db = new StateDatabase({ path, clock: systemClock, log: silent });
  try {
    return db
      .all('SELECT type, path FROM reports')
      .map(({ type, path: file }) => `${String(type)} ${String(file)}`);
  } finally {
    db.close();
  }
}

/** Polling takes no more than a small share of a processor, and a busy one gives it little. */
const POLLED_MS = 60_000;

/** kill -9 at a random moment of its work, at most so many milliseconds from now. */
async function killWithin(child: WatchingProcess, ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  await child.kill();
}

/** Lets a last process find what the killed ones have not told, and compares what all of them told. */
async function expectReported(root: string, database: string, expected: readonly string[]): Promise<void> {
  const last = await new WatchingProcess(root, database, { debounce_ms: 5 }).ready();
  await last.settled();
  await last.kill();
  expect(reportsIn(database).toSorted()).toEqual(expected.toSorted());
}

describe('a watcher', () => {
  it('that is killed at any moment of a burst reports each change exactly once, over all its lives', async () => {
    const root = tempFolder();
    const database = join(tempFolder(), 'state.db');
    const seed = seedOf();
    process.stdout.write(`seed ${seed}\n`);
    const random = mulberry(seed);
    for (let index = 0; index < 400; index += 1) {
      mkdirSync(join(root, `d${index % 7}`), { recursive: true });
      writeFileSync(join(root, `d${index % 7}`, `old${index}`), 'x');
    }
    const expected: string[] = [];
    for (let life = 0; life < 8; life += 1) {
      const child = await new WatchingProcess(root, database, { debounce_ms: 5 }).ready();
      if (life === 0) await until('its table is whole', () => isWhole(database));
      for (let index = 0; index < 200; index += 1) {
        const path = `d${index % 7}/new/${life}-${index}`;
        mkdirSync(join(root, `d${index % 7}/new`), { recursive: true });
        writeFileSync(join(root, path), '');
        expected.push(`file.create ${path}`);
      }
      for (let index = life * 50; index < life * 50 + 25; index += 1) {
        appendFileSync(join(root, `d${index % 7}`, `old${index}`), 'y');
        expected.push(`file.modify d${index % 7}/old${index}`);
        rmSync(join(root, `d${(index + 25) % 7}`, `old${index + 25}`));
        expected.push(`file.delete d${(index + 25) % 7}/old${index + 25}`);
      }
      await killWithin(child, random() * 30);
    }
    await expectReported(root, database, expected);
  });

  it('that is killed before it has saved what it found takes no old file for a new one, and misses no new one', async () => {
    const root = tempFolder();
    const database = join(tempFolder(), 'state.db');
    const random = mulberry(seedOf());
    for (let index = 0; index < 5_000; index += 1) {
      mkdirSync(join(root, `d${index % 50}`), { recursive: true });
      writeFileSync(join(root, `d${index % 50}`, `old${index}`), '');
    }
    const expected: string[] = [];
    for (let life = 0; life < 4; life += 1) {
      const child = await new WatchingProcess(root, database, { debounce_ms: 5 }).ready();
      for (let index = 0; index < 100; index += 1) {
        writeFileSync(join(root, `d${index % 50}`, `new${life}-${index}`), '');
        expected.push(`file.create d${index % 50}/new${life}-${index}`);
        const old = life * 100 + index;
        appendFileSync(join(root, `d${old % 50}`, `old${old}`), 'y');
        expected.push(`file.modify d${old % 50}/old${old}`);
      }
      await killWithin(child, random() * 20);
    }
    await expectReported(root, database, expected);
  });

  it('that is stopped while 20,000 files are made, renamed and removed misses none', async () => {
    const root = tempFolder();
    const database = join(tempFolder(), 'state.db');
    for (let index = 0; index < 10; index += 1) mkdirSync(join(root, `d${index}`));
    const child = await new WatchingProcess(root, database, { debounce_ms: 5 }).ready();
    const expected: string[] = [];
    child.signal('SIGSTOP');
    for (let index = 0; index < 20_000; index += 1) {
      const path = `d${index % 10}/f${index}`;
      writeFileSync(join(root, path), '');
      if (index % 4 === 1) renameSync(join(root, path), join(root, `${path}.moved`));
      if (index % 4 === 2) rmSync(join(root, path));
      else expected.push(`file.create ${path}${index % 4 === 1 ? '.moved' : ''}`);
    }
    renameSync(join(root, 'd9'), join(root, 'e9'));
    child.signal('SIGCONT');
    const moved = expected.map((report) => report.replace(' d9/', ' e9/'));
    await until('all are reported', () => reportsIn(database).length >= moved.length);
    await child.settled();
    expect(reportsIn(database).toSorted()).toEqual(moved.toSorted());
  });

  it.skipIf(process.platform !== 'linux')(
    'polls where the system gives no more watches, says so, and watches again when it does',
    { timeout: 90_000 },
    async () => {
      const root = tempFolder();
      const database = join(tempFolder(), 'state.db');
      for (let index = 0; index < 50; index += 1) mkdirSync(join(root, `d${index}`));
      // In a user namespace of its own the limit can be lowered for this process alone.
      const raised = join(tempFolder(), 'raised');
      const limit = '/proc/sys/user/max_inotify_watches';
      const lower = `echo 20 > ${limit} && { until test -e ${raised}; do sleep 0.05; done; echo 500 > ${limit}; } & sleep 0.2; exec "$@"`;
      const around = ['unshare', '-Ur', 'sh', '-c', lower, 'sh'];
      const child = await new WatchingProcess(root, database, { debounce_ms: 5 }, around).ready();
      expect(child.output).toMatch(/fault watch\.limit .*max_user_watches/);
      const files = Array.from({ length: 50 }, (_, index) => `d${index}/f`);
      // Empty: a write that follows late on a busy machine would be a change of its own.
      for (const file of files) writeFileSync(join(root, file), '');
      await until('all are reported', () => reportsIn(database).length === files.length, POLLED_MS);
      for (const file of files) rmSync(join(root, file));
      mkdirSync(join(root, 'd49/deep/er'), { recursive: true });
      writeFileSync(join(root, 'd49/deep/er/g'), '');
      await until('the deletes too', () => reportsIn(database).length === files.length * 2 + 1, POLLED_MS);
      expect(reportsIn(database)).toContain('file.create d49/deep/er/g');
      writeFileSync(raised, '');
      await until('it watches again', () => child.output.includes('fault watch.limit over'), POLLED_MS);
      writeFileSync(join(root, 'd49/deep/er/h'), 'x');
      await until('that is reported', () => reportsIn(database).includes('file.create d49/deep/er/h'));
    },
  );
});

describe('a folder that is not readable', () => {
  it.skipIf(process.platform !== 'linux')(
    'is told of, the rest is watched, and so is it when it can be read',
    async () => {
      const root = tempFolder();
      const database = join(tempFolder(), 'state.db');
      for (const name of ['closed/in', 'shut/deep/in', 'open/a']) {
        mkdirSync(join(root, dirname(name)), { recursive: true });
        writeFileSync(join(root, name), 'x');
      }
      for (const name of ['closed', 'shut']) chmodSync(join(root, name), 0);
      onTestFinished(() => ['closed', 'shut'].forEach((name) => chmodSync(join(root, name), 0o700)));
      // Without the capabilities of root, where the tests run as that.
      const child = await new WatchingProcess(root, database, { debounce_ms: 5 }, ['unshare', '-U']).ready();
      expect(child.output).toMatch(/fault watch\.unreadable .*closed, shut/);
      writeFileSync(join(root, 'open/b'), 'x');
      await until('it is reported', () => reportsIn(database).includes('file.create open/b'));
      for (const name of ['closed', 'shut']) chmodSync(join(root, name), 0o700);
      await until('the issue is over', () => child.output.includes('fault watch.unreadable over'));
      writeFileSync(join(root, 'shut/deep/new'), 'x');
      await until('it is watched', () => reportsIn(database).includes('file.create shut/deep/new'));
      await child.settled();
      const all = reportsIn(database);
      expect(all.filter((report) => report.startsWith('file.delete'))).toEqual([]);
      chmodSync(join(root, 'shut'), 0);
      await until('it is told of', () =>
        /unreadable [^\n]*shut/.test(child.output.slice(child.output.lastIndexOf('over'))),
      );
      await child.settled();
      expect(reportsIn(database)).toEqual(all);
    },
  );
});

function isWhole(path: string): boolean {
  const db = new StateDatabase({ path, clock: systemClock, log: silent });
  try {
    return db.all('SELECT since FROM watched_paths').every(({ since }) => since === null);
  } finally {
    db.close();
  }
}
