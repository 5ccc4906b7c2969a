import { existsSync, lstatSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../platform/atomic-file.js';
import { AiwgdError } from '../protocol/errors.js';
import { bytesOf } from './byte-paths.js';
import type { Git } from './git.js';
import { type Place, textIn } from './place.js';
import type { WorktreeRecord } from './records.js';
import { adminDirOf } from './submodules.js';

/**
 * Makes a worktree, its submodules, and what git keeps of them point to each other again, after the project was moved or
 * copied. Not by `git worktree repair`: that believes the links which are there, and those of a copy lead to the original.
 * Throws INVALID_PARAMS, with nothing written, where another worktree is what git keeps it for.
 */
export async function mendLinks(git: Git, place: Place, { submodules }: WorktreeRecord): Promise<void> {
  const { path, adminDir, repository } = place;
  if (adminDir === null) return;
  const before = dirname(textIn(join(adminDir, 'gitdir')) ?? join(path, '.git'));
  const links = [{ path, adminDir }];
  for (const submodule of submodules) {
    const within = bytesOf(submodule.path).toString('utf8');
    const source = join(repository.top, within);
    const made = join(path, within);
    // As git left it, or not at all: what became of it otherwise is not ours to mend.
    if (!existsSync(join(source, '.git')) || !isFile(join(made, '.git'))) continue;
    const found = await adminDirOf(git, source, [join(made, '.git'), join(before, within, '.git')]);
    if (found !== undefined) links.push({ path: made, adminDir: found });
  }
  for (const link of links) checkOurs(link);
  // The worktree's own is the last: until it is written, the next call begins anew.
  for (const link of links.toReversed()) {
    writeFileAtomic(join(link.adminDir, 'gitdir'), `${join(link.path, '.git')}\n`, { mode: 0o644 });
    writeFileSync(join(link.path, '.git'), `gitdir: ${link.adminDir}\n`);
  }
}

/** A copy of a linked worktree shares what git keeps with its original. */
function checkOurs({ path, adminDir }: { path: string; adminDir: string }): void {
  const back = textIn(join(adminDir, 'gitdir'));
  if (back === undefined || back === join(path, '.git') || textIn(back) !== `gitdir: ${adminDir}`) return;
  throw new AiwgdError(
    'INVALID_PARAMS',
    `${path} is a copy of the worktree ${dirname(back)}, of the same repository. Save what you need of it and move it away; then the task can have a new one.`,
  );
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
