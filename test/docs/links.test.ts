import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { allPages, anchorsOf, linksOf, type Page, ROOT } from './markdown.js';

const pages = new Map(allPages().map((page) => [page.path, page]));

/** Why a link of a page leads nowhere; undefined for one that is right, or that leads out of the repository. */
function brokenBecause(page: Page, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? page.path : normalize(join(dirname(page.path), file));
  if (path.startsWith('..') || !existsSync(join(ROOT, path))) return `there is no file ${path}`;
  if (anchor === undefined) return undefined;
  const there = pages.get(path);
  if (there === undefined) return statSync(join(ROOT, path)).isDirectory() ? 'it is a folder' : undefined;
  return anchorsOf(there).has(anchor) ? undefined : `${path} has no heading #${anchor}`;
}

test('every link leads to a file and a heading that exist', () => {
  const broken = [...pages.values()].flatMap((page) =>
    linksOf(page).flatMap(({ line, target }) => {
      const reason = brokenBecause(page, target);
      return reason === undefined ? [] : [`${page.path}:${line}: ${target}: ${reason}`];
    }),
  );
  expect(broken).toEqual([]);
});

test('the index and the README name every guide', () => {
  const guides = [...pages.keys()].filter(
    (path) => /^docs\/[^/]+\.md$/.test(path) && path !== 'docs/index.md',
  );
  expect(guides.length).toBeGreaterThan(5);
  for (const [path, prefix] of [
    ['docs/index.md', ''],
    ['README.md', 'docs/'],
  ] as const) {
    const targets = linksOf(pages.get(path) as Page).map(({ target }) => target);
    for (const guide of guides) expect(targets, path).toContain(guide.replace('docs/', prefix));
  }
});

test('a broken link is found', () => {
  const page = pages.get('README.md') as Page;
  expect(brokenBecause(page, 'docs/nowhere.md')).toMatch('no file');
  expect(brokenBecause(page, 'docs/tasks.md#nowhere')).toMatch('no heading');
  expect(brokenBecause(page, 'docs/tasks.md#what-survives-what')).toBeUndefined();
});
