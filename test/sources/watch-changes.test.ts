import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tempFolder, until } from '../support/temp.js';
import { Watching } from './watching.js';

describe('what changes in a folder', () => {
  it('is reported as create, modify and delete, and not what was there before', async () => {
    const project = new Watching();
    project.write('src/old.ts');
    await project.start();
    project.write('src/new.ts');
    await project.expectReports(['create src/new.ts']);
    appendFileSync(project.path('src/old.ts'), 'more');
    rmSync(project.path('src/new.ts'));
    await project.expectReports(['create src/new.ts', 'modify src/old.ts', 'delete src/new.ts']);
  });

  it('is reported after the project itself got other times and permissions', async () => {
    const project = new Watching();
    await project.start();
    utimesSync(project.root, 1, 1);
    chmodSync(project.root, 0o755);
    await project.settle();
    project.write('a');
    await project.expectReports(['create a']);
  });

  it('is reported when the project was moved away and is there again', async () => {
    const project = new Watching();
    project.write('src/a');
    await project.start({}, { pollPauseMs: 10 });
    renameSync(project.root, `${project.root}-moved`);
    await project.expectReports(['delete src/a']);
    renameSync(`${project.root}-moved`, project.root);
    await project.expectReports(['delete src/a', 'create src/a']);
    project.write('b');
    await project.expectReports(['delete src/a', 'create src/a', 'create b']);
  });

  it('says when it happened, and how large the file is', async () => {
    const project = new Watching();
    await project.start();
    const before = Date.now() - 20;
    project.write('a', 'four');
    await project.expectReports(['create a']);
    const { payload, source } = project.events[0]!;
    expect(source).toBe('file_watcher');
    expect(payload).toMatchObject({ path: 'a', size: 4 });
    const [first, last] = [
      Date.parse(String(payload['firstChangeAt'])),
      Date.parse(String(payload['lastChangeAt'])),
    ];
    expect(first).toBeGreaterThan(before);
    expect(last).toBeGreaterThanOrEqual(first);
    expect(last).toBeLessThanOrEqual(Date.now());
  });

  it('is one event for a new file and the writes that follow', async () => {
    const project = new Watching();
    await project.start({ debounce_ms: 300 });
    for (let count = 0; count < 20; count += 1) {
      appendFileSync(project.path('log'), 'line\n');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await project.expectReports(['create log']);
    expect(project.events[0]?.payload['size']).toBe(100);
  });

  it('is one modify for an atomic save, again and again', async () => {
    const project = new Watching();
    project.write('file');
    await project.start();
    for (let count = 1; count <= 3; count += 1) {
      writeFileSync(project.path('.file.tmp'), `content ${count}`);
      renameSync(project.path('.file.tmp'), project.path('file'));
      await project.expectReports(Array.from({ length: count }, () => 'modify file'));
    }
  });

  it('is nothing for a file that came and went, for a chmod, and for one that was moved away and back', async () => {
    const project = new Watching();
    project.write('kept');
    await project.start({ debounce_ms: 100 });
    project.write('brief');
    rmSync(project.path('brief'));
    chmodSync(project.path('kept'), 0o600);
    renameSync(project.path('kept'), project.path('elsewhere'));
    renameSync(project.path('elsewhere'), project.path('kept'));
    await project.expectReports([]);
    utimesSync(project.path('kept'), 1, 1);
    await project.expectReports(['modify kept']);
  });

  it('is reported while a file is written without a pause', async () => {
    const project = new Watching();
    await project.start({ debounce_ms: 1 });
    const end = Date.now() + 400;
    while (Date.now() < end) {
      appendFileSync(project.path('busy'), 'x');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await project.settle();
    expect(project.reports[0]).toBe('create busy');
  });
});

describe('folders', () => {
  it('that are copied in are reported with all files in them', async () => {
    const project = new Watching();
    await project.start();
    const source = tempFolder();
    for (let count = 0; count < 30; count += 1) {
      mkdirSync(`${source}/${count % 3}/deep/${count}`, { recursive: true });
      writeFileSync(`${source}/${count % 3}/deep/${count}/file`, 'x');
    }
    cpSync(source, project.path('copy'), { recursive: true });
    await project.expectReports(
      Array.from({ length: 30 }, (_, count) => `create copy/${count % 3}/deep/${count}/file`),
    );
  });

  it('that are renamed report deletes under the old and creates under the new name, and are watched on', async () => {
    const project = new Watching();
    project.write('a/x/one');
    project.write('a/two');
    await project.start();
    renameSync(project.path('a'), project.path('b'));
    const first = ['delete a/x/one', 'delete a/two', 'create b/x/one', 'create b/two'];
    await project.expectReports(first);
    project.write('b/x/one', 'changed');
    await project.expectReports([...first, 'modify b/x/one']);
    renameSync(project.path('b'), project.path('a'));
    project.clear();
    await project.expectReports(['delete b/x/one', 'delete b/two', 'create a/x/one', 'create a/two']);
  });

  it('that are renamed date the change of what is in them from then, however old that is', async () => {
    const project = new Watching();
    project.write('a/old');
    await until('it is old', () => Date.now() - statSync(project.path('a/old')).ctimeMs > 300);
    await project.start();
    const before = Date.now();
    renameSync(project.path('a'), project.path('b'));
    await project.expectReports(['delete a/old', 'create b/old']);
    for (const { payload } of project.events) {
      expect(Date.parse(String(payload['firstChangeAt']))).toBeGreaterThanOrEqual(before - 1);
      expect(Date.parse(String(payload['lastChangeAt']))).toBeLessThanOrEqual(Date.now());
    }
  });

  it('that are removed and made again at once are watched on, though they may have the same inode', async () => {
    const project = new Watching();
    project.write('a/b/c');
    await project.start();
    for (let round = 1; round <= 5; round += 1) {
      project.clear();
      rmSync(project.path('a'), { recursive: true });
      project.write('a/b/c', `round ${round}`);
      await project.expectReports(['modify a/b/c']);
      project.write('a/b/d', 'new');
      await project.expectReports(['modify a/b/c', 'create a/b/d']);
      rmSync(project.path('a/b/d'));
      await project.settle();
    }
  });

  it('that swap places are told apart, with what is in them', async () => {
    const project = new Watching();
    project.write('a/s/f', '1');
    project.write('b/s/g', '2');
    await project.start();
    renameSync(project.path('a'), project.path('t'));
    renameSync(project.path('b'), project.path('a'));
    renameSync(project.path('t'), project.path('b'));
    const swapped = ['delete a/s/f', 'create a/s/g', 'delete b/s/g', 'create b/s/f'];
    await project.expectReports(swapped);
    project.write('a/s/new');
    project.write('b/s/f', 'more');
    await project.expectReports([...swapped, 'create a/s/new', 'modify b/s/f']);
  });

  it('that become files and folders again are followed', async () => {
    const project = new Watching();
    project.write('a/b');
    await project.start();
    rmSync(project.path('a'), { recursive: true });
    writeFileSync(project.path('a'), 'file');
    await project.expectReports(['delete a/b', 'create a']);
    rmSync(project.path('a'));
    project.write('a/b');
    await project.expectReports(['delete a/b', 'create a', 'delete a', 'create a/b']);
    project.write('a/b', 'longer');
    await project.expectReports(['delete a/b', 'create a', 'delete a', 'create a/b', 'modify a/b']);
  });

  it('behind symbolic links are not followed: a link is a file of its own', async () => {
    const project = new Watching();
    const outside = tempFolder();
    await project.start();
    symlinkSync(outside, project.path('link'));
    await project.expectReports(['create link']);
    writeFileSync(`${outside}/file`, 'x');
    unlinkSync(project.path('link'));
    await project.expectReports(['create link', 'delete link']);
  });
});

describe('paths', () => {
  it('that do not exist are watched when they appear, again and again', async () => {
    const project = new Watching();
    await project.start({ paths: ['deep/down/src', 'single.txt'] });
    project.write('deep/other');
    project.write('deep/down/src/a');
    project.write('single.txt');
    await project.expectReports(['create deep/down/src/a', 'create single.txt']);
    rmSync(project.path('deep'), { recursive: true });
    await project.expectReports(['create deep/down/src/a', 'create single.txt', 'delete deep/down/src/a']);
    project.clear();
    project.write('deep/down/src/b');
    project.write('deep/down/not');
    await project.expectReports(['create deep/down/src/b']);
  });

  it('may overlap: one event for each change that any of them lets through', async () => {
    const project = new Watching();
    project.write('src/a.ts');
    await project.start({
      paths: [
        { path: 'src', extensions: ['.ts'], events: ['create'] },
        { path: 'src', extensions: ['.ts', '.md'], events: ['create', 'modify'], ignore: ['gen/'] },
      ],
    });
    project.write('src/b.ts');
    project.write('src/c.md');
    project.write('src/d.js');
    project.write('src/gen/e.ts');
    project.write('src/gen/f.md');
    project.write('src/a.ts', 'changed');
    await project.expectReports([
      'create src/b.ts',
      'create src/c.md',
      'create src/gen/e.ts',
      'modify src/a.ts',
    ]);
    project.clear();
    rmSync(project.path('src/a.ts'));
    await project.expectReports([]);
  });
});

describe('names', () => {
  const odd = [
    "it's",
    'a"b',
    'new\nline',
    '$(touch pwned)',
    '{{payload.path}}',
    ' space ',
    '-rf',
    'ünïcödé',
    '日本',
    '*?[x]',
    '\\back',
  ];

  it('of any kind are reported as they are', async () => {
    const project = new Watching();
    await project.start();
    for (const name of odd) project.write(`${name}/${name}`);
    project.write('n'.repeat(255));
    await project.expectReports([
      ...odd.map((name) => `create ${name}/${name}`),
      `create ${'n'.repeat(255)}`,
    ]);
  });

  it.skipIf(process.platform === 'darwin')('that are not UTF-8 come with their bytes', async () => {
    const project = new Watching();
    await project.start();
    const name = Buffer.from([0x66, 0xff, 0xfe, 0x6f]);
    const path = Buffer.concat([Buffer.from(`${project.root}/`), name]);
    writeFileSync(path, 'x');
    await project.expectReports(['create f\uFFFD\uFFFDo']);
    expect(project.events[0]?.payload['path_base64']).toBe(name.toString('base64'));
    project.clear();
    writeFileSync(path, 'longer');
    await project.expectReports(['modify f\uFFFD\uFFFDo']);
    project.clear();
    await project.stop();
    unlinkSync(path);
    await project.start();
    await project.expectReports(['delete f\uFFFD\uFFFDo']);
    project.clear();
    mkdirSync(path);
    writeFileSync(Buffer.concat([path, Buffer.from('/in')]), 'x');
    await project.expectReports(['create f\uFFFD\uFFFDo/in']);
  });

  it('deeper than a path may be long do no harm', async () => {
    const project = new Watching();
    await project.start();
    const deep = Array.from({ length: 12 }, () => 'd'.repeat(200)).join('/');
    for (const top of ['a', 'b']) project.write(`${top}/${deep}/file`);
    await project.expectReports([`create a/${deep}/file`, `create b/${deep}/file`]);
    project.clear();
    try {
      renameSync(project.path('b'), project.path(`a/${deep}/b`));
      await project.expectReports([`delete b/${deep}/file`]);
      expect(project.faults.get('watch.unreadable')?.message).toMatch(/cannot be read/);
      project.clear();
      project.write('after');
      await project.expectReports(['create after']);
    } finally {
      execFileSync('rm', ['-rf', 'a'], { cwd: project.root });
    }
    await until('the issue is over', () => project.faults.size === 0);
  });
});

describe('editors', () => {
  it.skipIf(spawnSync('vim', ['--version']).error !== undefined)('vim saves once', async () => {
    const project = new Watching();
    project.write('text', 'line\n');
    await project.start({ debounce_ms: 100 });
    execFileSync('vim', [
      '-es',
      '-u',
      'NONE',
      '-c',
      'set backup writebackup backupskip= backupcopy=no',
      '-c',
      '%s/line/other/',
      '-c',
      'wq',
      project.path('text'),
    ]);
    await project.expectReports(['create text~', 'modify text']);
    project.clear();
    execFileSync('vim', [
      '-es',
      '-u',
      'NONE',
      '-c',
      'set backupskip= backupcopy=yes',
      '-c',
      '%s/other/third/',
      '-c',
      'wq',
      project.path('text'),
    ]);
    await project.expectReports(['modify text']);
  });

  it('sed -i saves once, and so does an editor that empties the file first', async () => {
    const project = new Watching();
    project.write('text', 'line\n');
    await project.start();
    execFileSync('sed', ['-i', 's/line/other/', project.path('text')]);
    await project.expectReports(['modify text']);
    writeFileSync(project.path('text'), '');
    writeFileSync(project.path('text'), 'content');
    await project.expectReports(['modify text', 'modify text']);
  });
});
