import { existsSync } from 'node:fs';
import { type BytePath, splitNul, under } from './byte-paths.js';
import type { Git } from './git.js';
import type { Place } from './place.js';

/** Tracked files that git was told not to look at, and that are there: their changes show up nowhere. */
export async function hiddenFiles(
  git: Git,
  { path: folder, env }: Pick<Place, 'path' | 'env'>,
): Promise<BytePath[]> {
  return splitNul(await git.ok({ cwd: folder, env, args: ['ls-files', '-z', '-v'] })).flatMap((entry) => {
    const tag = entry.slice(0, 1);
    const path = entry.slice(2);
    const skipped = tag === 'S' || tag === 's';
    // A sparse checkout marks what it leaves out in the same way.
    return (skipped || tag !== tag.toUpperCase()) && existsSync(under(folder, path)) ? [path] : [];
  });
}

/** Refs that would go with the worktree. */
export async function hasOwnRefs(git: Git, { path, env }: Pick<Place, 'path' | 'env'>): Promise<boolean> {
  return (await git.line({ cwd: path, env, args: ['for-each-ref', '--count=1', 'refs/worktree'] })) !== '';
}
