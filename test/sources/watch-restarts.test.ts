import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { until } from '../support/temp.js';
import { older, Watching, watchConfig } from './watching.js';

describe('a new start', () => {
  it('reports what changed meanwhile before it is ready, and nothing else', async () => {
    const project = new Watching();
    for (const name of ['same', 'edited', 'gone', 'folder/in', 'renamed']) project.write(name);
    await project.start();
    await until('the table is saved', () => tableIsComplete(project));
    const stopped = Date.now();
    await project.stop();
    appendFileSync(project.path('edited'), 'more');
    rmSync(project.path('gone'));
    rmSync(project.path('folder'), { recursive: true });
    renameSync(project.path('renamed'), project.path('other'));
    chmodSync(project.path('same'), 0o600);
    project.write('fresh/deep/file');
    await project.start({ debounce_ms: 0 });
    expect(project.reports).toEqual(
      [
        'modify edited',
        'delete gone',
        'delete folder/in',
        'delete renamed',
        'create other',
        'create fresh/deep/file',
      ].toSorted(),
    );
    const deleted = project.events.find(({ payload }) => payload['path'] === 'gone')!.payload;
    expect(Date.parse(String(deleted['firstChangeAt']))).toBeLessThanOrEqual(stopped + 1);
    project.clear();
    await project.start();
    await project.expectReports([]);
  });

  it('takes the disk as it is with catch_up: false', async () => {
    const project = new Watching();
    project.write('a');
    project.write('b');
    await project.start();
    await until('the table is saved', () => tableIsComplete(project));
    await project.stop();
    project.write('a', 'changed');
    rmSync(project.path('b'));
    project.write('c');
    await project.start({ catch_up: false });
    project.write('c', 'changed');
    await project.expectReports(['modify c']);
    project.clear();
    await project.start();
    await project.expectReports([]);
  });

  it('after a crash before the table was whole takes no old file for a new one', async () => {
    const project = new Watching();
    for (let index = 0; index < 50; index += 1) project.write(`old${index}`);
    await project.start();
    await until('the table is saved', () => tableIsComplete(project));
    // As a kill -9 in the middle of saving leaves it.
    project.db!.run('UPDATE watched_paths SET since = ?', Date.now());
    project.db!.run("DELETE FROM watched_files WHERE path LIKE 'old1%'");
    await project.stop();
    await older(project.path('old49'));
    project.write('new');
    project.write('old2', 'changed');
    project.write('old11', 'changed');
    await project.start();
    await project.expectReports(['create new', 'modify old2', 'modify old11']);
  });

  it('does not take for new what another configuration or another .gitignore brings into view', async () => {
    const project = new Watching();
    for (const path of ['src/a', 'src/b.log', 'src/c.tmp', 'lib/d']) project.write(path);
    project.write('.gitignore', '*.tmp\n');
    await older(project.path('.gitignore'));
    await project.start({ paths: ['src'], ignore: ['*.log'] });
    await until('the table is saved', () => tableIsComplete(project));
    await project.stop();
    await older(project.path('.gitignore'));
    project.write('src/new');
    project.write('src/a', 'changed');
    await project.start({ paths: ['src', 'lib'] });
    await project.expectReports(['create src/new', 'modify src/a']);
    await until('the table is saved', () => tableIsComplete(project));
    await project.stop();
    project.clear();
    await older(project.path('src/new'));
    project.write('.gitignore', '');
    project.write('lib/new');
    await project.start({ paths: ['src', 'lib'] });
    await project.expectReports(['create lib/new']);
  });
});

describe('a change of the configuration', () => {
  it('makes no events of files that come into view or leave it', async () => {
    const project = new Watching();
    for (const path of ['src/a', 'lib/b', 'lib/gen/c']) project.write(path);
    const watcher = await project.start({ paths: ['src'] });
    await watcher.reconfigure(watchConfig({ paths: ['lib'] }));
    project.write('src/a', 'unseen');
    project.write('lib/b', 'seen');
    await project.expectReports(['modify lib/b']);
    await watcher.reconfigure(watchConfig({ paths: ['lib'], ignore: ['gen/'] }));
    project.write('lib/gen/c', 'unseen');
    await project.expectReports(['modify lib/b']);
    expect(watcher.status()).toMatchObject({ files: 1, directories: 2, paths: ['lib'] });
  });

  it('in the middle of a burst loses nothing', async () => {
    const project = new Watching();
    project.write('other/old');
    const watcher = await project.start({ paths: ['src'], debounce_ms: 20 });
    mkdirSync(project.path('src'));
    const expected: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      for (let index = 0; index < 100; index += 1) {
        const path = `src/${index % 5}/f${round}-${index}`;
        project.write(path);
        expected.push(`create ${path}`);
      }
      const paths = round % 2 === 0 ? ['src', 'other'] : ['src'];
      void watcher.reconfigure(watchConfig({ paths, debounce_ms: 10 + round, ignore: [`x${round}`] }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await project.expectReports(expected);
  });

  it('can end watching, begin it again, and poll instead', async () => {
    const project = new Watching();
    project.write('a');
    const watcher = await project.start();
    await watcher.reconfigure(watchConfig({ enabled: false }));
    expect(watcher.status()).toMatchObject({ enabled: false, files: 0 });
    project.write('a', 'unseen');
    project.write('b');
    await watcher.reconfigure(watchConfig());
    await project.expectReports([]);
    project.write('b', 'seen');
    await watcher.reconfigure(watchConfig({ use_polling: true }));
    await project.expectReports(['modify b']);
    expect(watcher.status()).toMatchObject({ polling: true });
    project.write('c');
    await until('polling finds it', () => project.reports.includes('create c'));
    expect(watcher.status().events_received).toBe(2);
  });
});

describe('faults', () => {
  it('of whoever takes the events only delay them', async () => {
    const project = new Watching();
    await project.start();
    project.failure = new Error('the disk is full');
    project.write('a');
    await until('the fault is told', () => project.faults.has('watch.report'));
    expect(project.events).toEqual([]);
    project.write('b');
    project.failure = undefined;
    await project.expectReports(['create a', 'create b']);
    expect(project.faults.size).toBe(0);
  });

  it('of the disk do not repeat a whole burst with every try', async () => {
    const project = new Watching();
    const published: string[] = [];
    let full = true;
    await project.start(
      {},
      {
        publish: (event) => {
          published.push(String(event.payload['path']));
          if (full) project.db?.fail(new Error('the disk is full'));
          return { ...event, id: String(published.length), timestamp: '' };
        },
      },
    );
    const names = Array.from({ length: 100 }, (_, index) => `f${index}`);
    for (const name of names) project.write(name);
    await until('the fault is told', () => project.faults.has('watch.report'));
    await until('all were heard of', () => project.watcher?.status().waiting === names.length);
    const first = published.length;
    await until('it was tried again', () => published.length > first);
    expect(published.length).toBe(first + 1);
    full = false;
    await until('all is well', () => project.faults.size === 0 && project.watcher?.status().waiting === 0);
    expect(published.slice(first + 1).toSorted()).toEqual(names.toSorted());
  });

  it('of closing in the middle of a start do no harm', async () => {
    const project = new Watching();
    for (let index = 0; index < 300; index += 1) project.write(`d${index}/f`);
    const started = project.start();
    await project.watcher?.close();
    await started;
    await project.stop();
    await project.start();
    project.write('d1/f', 'changed');
    await project.expectReports(['modify d1/f']);
  });
});

function tableIsComplete({ db }: Watching): boolean {
  const rows = db!.all('SELECT since FROM watched_paths');
  return rows.length > 0 && rows.every(({ since }) => since === null);
}
