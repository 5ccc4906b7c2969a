import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IgnoreRules, rulesUnder } from '#aiwgd/sources/watch/ignore-rules.js';
import { Place, WatchView } from '#aiwgd/sources/watch/watch-view.js';
import { tempFolder, until } from '../support/temp.js';
import { Watching, watchConfig } from './watching.js';

describe('what is ignored', () => {
  it('always: what packages bring, git, and what the daemon writes; and nothing else', async () => {
    const project = new Watching();
    mkdirSync(project.path('.git'));
    await project.start();
    const ignored = [
      'node_modules/a',
      'deep/node_modules/b/c',
      '.git/index',
      '.aiwg/working/x',
      '.aiwg/daemon/state.json',
      '.aiwg/daemon.pid',
      '.aiwg/daemon.pid.tmp',
    ];
    const seen = [
      '.github/workflows/ci.yml',
      '.gitignore',
      '.aiwg/daemon.json',
      'working/a',
      'daemon/b',
      'node_modules.md',
      '.hidden',
    ];
    for (const path of [...ignored, ...seen]) project.write(path);
    await project.expectReports(seen.map((path) => `create ${path}`));
  });

  it('by watch.ignore and by a path: whole names, from where each stands', async () => {
    const project = new Watching();
    await project.start({
      paths: [{ path: 'src', ignore: ['/gen', 'a/b', '*.log'] }, 'docs'],
      ignore: ['*.tmp', 'working/**', '!keep.tmp'],
    });
    const seen = [
      'src/atmp',
      'src/notworking/f',
      'src/x/gen/f',
      'src/x/a/b',
      'docs/y.log',
      'docs/gen/f',
      'docs/keep.tmp',
      'src/working/f',
    ];
    const ignored = ['src/a.tmp', 'src/gen/f', 'src/a/b', 'src/z.log', 'docs/x.tmp'];
    for (const path of [...ignored, ...seen]) project.write(path);
    await project.expectReports(seen.map((path) => `create ${path}`));
  });

  it('by .gitignore files of all levels, and .git/info/exclude', async () => {
    const project = new Watching();
    execFileSync('git', ['init', '-q'], { cwd: project.root });
    project.write('.git/info/exclude', 'excluded\n');
    project.write('.gitignore', '*.log\n/dist/\nout\n');
    project.write('pkg/.gitignore', '!keep.log\n/local\n');
    await project.start();
    const ignored = ['a.log', 'dist/f', 'pkg/out/f', 'pkg/b.log', 'pkg/local', 'excluded/f'];
    const seen = ['pkg/keep.log', 'pkg/dist/f', 'pkg/x/local', 'pkg/x/keep.log', 'b.txt'];
    for (const path of [...ignored, ...seen]) project.write(path);
    await project.expectReports(seen.map((path) => `create ${path}`));
  });

  it('by a .gitignore as it is now: what comes into view or leaves it by that is no event', async () => {
    const project = new Watching();
    for (const path of ['gen/a', 'src/b']) project.write(path);
    project.write('.gitignore', 'gen/\n');
    await project.start();
    project.write('.gitignore', 'src/\n');
    await project.expectReports(['modify .gitignore']);
    await until('the rules hold', () => project.watcher!.status().files === 2);
    project.write('src/b', 'changed');
    project.write('gen/a', 'changed');
    await project.expectReports(['modify .gitignore', 'modify gen/a']);
    rmSync(project.path('.gitignore'));
    await project.expectReports(['modify .gitignore', 'modify gen/a', 'delete .gitignore']);
    await until('all is in view', () => project.watcher!.status().files === 2);
    project.write('src/b', 'again');
    await project.expectReports(['modify .gitignore', 'modify gen/a', 'delete .gitignore', 'modify src/b']);
  });

  it('not by git where a path is named itself, and not at all with respect_gitignore: false', async () => {
    const project = new Watching();
    project.write('.gitignore', '.aiwg/\nbuild\n*.log\n');
    await project.start({ paths: ['.', '.aiwg', 'build/reports'] });
    for (const path of ['.aiwg/a', '.aiwg/b.log', 'build/reports/c', 'build/d']) project.write(path);
    await project.expectReports(['create .aiwg/a', 'create build/reports/c']);
    project.clear();
    await project.start({ respect_gitignore: false });
    project.write('build/d', 'changed');
    project.write('e.log');
    await project.expectReports(['modify build/d', 'create e.log']);
  });

  it('by the .gitignore above a project that is a part of a repository', async () => {
    const project = new Watching();
    execFileSync('git', ['init', '-q'], { cwd: project.root });
    project.write('.gitignore', '*.log\n/part/out/\n');
    project.write('part/a');
    await project.start({}, { root: project.path('part') });
    for (const path of ['part/b.log', 'part/out/f', 'part/x/out/f']) project.write(path);
    await project.expectReports(['create x/out/f']);
  });
});

/** Patterns and paths of few letters, so that many meet. */
const segment = fc.constantFrom('a', 'b', 'ab', 'a.b', '.a', 'b c');
const patternPart = fc.constantFrom('a', 'b', 'ab', '*', '**', 'a*', '*.b', '?', '[ab]', '.a', 'b c');
const pattern = fc
  .tuple(
    fc.constantFrom('', '!', '/', '!/'),
    fc.array(patternPart, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('', '/'),
  )
  .map(([start, parts, end]) => start + parts.join('/') + end);
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

describe('rules', () => {
  it('mean in the watcher what they mean to git, at every level', () => {
    const root = tempFolder();
    execFileSync('git', ['init', '-q'], { cwd: root });
    const patterns = fc.array(pattern, { maxLength: 4 });
    fc.assert(
      fc.property(
        patterns,
        segment,
        patterns,
        fc.uniqueArray(path, { minLength: 1, maxLength: 10 }),
        (outer, folder, inner, paths) => {
          const files = filesOf(paths);
          writeFileSync(join(root, '.gitignore'), outer.join('\n'));
          mkdirSync(join(root, folder), { recursive: true });
          writeFileSync(join(root, folder, '.gitignore'), inner.join('\n'));
          try {
            for (const file of files) {
              if (file === folder) continue;
              mkdirSync(join(root, dirname(file)), { recursive: true });
              writeFileSync(join(root, file), '');
            }
            const asked = files.filter((file) => file !== folder);
            const out = execFileSync('git', ['ls-files', '-z', '--others', '--exclude-standard', '--', '.'], {
              cwd: root,
              encoding: 'utf8',
            });
            const kept = new Set(out.split('\0'));
            const view = new WatchView(root, watchConfig());
            for (const file of asked) expect([file, shows(root, view, file)]).toEqual([file, kept.has(file)]);
          } finally {
            execFileSync('find', [
              root,
              '-mindepth',
              '1',
              '-maxdepth',
              '1',
              '!',
              '-name',
              '.git',
              '-exec',
              'rm',
              '-rf',
              '{}',
              '+',
            ]);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of a folder say nothing of what lies beside it', () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 5 }), path, (lines, file) => {
        const rules = IgnoreRules.of(rulesUnder('inner [x]/*', lines));
        expect(rules.ignores(file)).toBe(false);
        expect(rules.ignores(`inner [x]/*/${file}`)).toBe(
          IgnoreRules.of(rulesUnder('', lines)).ignores(file),
        );
      }),
    );
  });
});

/** Without those that others need as folders. */
function filesOf(paths: readonly string[]): string[] {
  return paths.filter((file) => !paths.some((other) => other.startsWith(`${file}/`)));
}

/** Walks down as the watcher does: folder by folder, each with its .gitignore. */
function shows(root: string, view: WatchView, file: string): boolean {
  const parts = file.split('/');
  const name = parts.pop()!;
  let place = Place.root(view, textIn(root), undefined);
  for (const [index, folder] of parts.entries()) {
    if (!place.entersFolder(folder)) return false;
    place = place.inner(folder, textIn(join(root, ...parts.slice(0, index + 1))), undefined);
  }
  return place.showsFile(name);
}

function textIn(folder: string): string | undefined {
  try {
    return execFileSync('cat', [join(folder, '.gitignore')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return undefined;
  }
}
