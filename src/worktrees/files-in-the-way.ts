import { lstatSync, type Stats } from 'node:fs';
import { type BytePath, splitNul, under } from './byte-paths.js';
import type { Git } from './git.js';

/**
 * Files of a checkout that no commit has and that lie where `end` (a commit or tree, perhaps as `HEAD...COMMIT`) has a file
 * that HEAD lacks. Git itself refuses to overwrite them only where it does not ignore them, and an ignored file (`.env`) may
 * be the only one of its kind.
 */
export async function filesInTheWay(git: Git, top: string, end: readonly string[]): Promise<BytePath[]> {
  const ask = async (...args: string[]): Promise<BytePath[]> => splitNul(await git.ok({ cwd: top, args }));
  const added = await ask(
    'diff',
    '--name-only',
    '--no-renames',
    '--no-relative',
    '--diff-filter=A',
    '-z',
    ...end,
    '--',
  );
  if (added.length === 0) return [];
  const tracked = new Set(await ask('ls-files', '-z'));
  const found = new Set<BytePath>();
  for (const path of added) {
    const there = firstInPlace(top, path);
    if (there === undefined) continue;
    // A folder in the place of the file: git throws away what it ignores in there.
    if (there.stats.isDirectory()) {
      for (const file of await ask('ls-files', '-z', '--others', '--', path)) found.add(file);
    } else if (!tracked.has(there.path)) found.add(there.path);
  }
  return [...found];
}

/** What is at a path, or in the place of a folder above it: the outermost that is no folder, else the path's own. */
function firstInPlace(top: string, path: BytePath): { path: BytePath; stats: Stats } | undefined {
  const names = path.split('/');
  for (let depth = 1; depth <= names.length; depth += 1) {
    const at = names.slice(0, depth).join('/');
    const stats = lstatSync(under(top, at), { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!stats.isDirectory() || depth === names.length) return { path: at, stats };
  }
  return undefined;
}
