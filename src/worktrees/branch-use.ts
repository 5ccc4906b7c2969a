import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Git } from './git.js';
import { type Place, textIn } from './place.js';
import { refOf } from './repository.js';

/**
 * Why the branch of a task must stay, though no commit would be lost with it; null where nothing speaks against removing
 * it: it is checked out elsewhere, or is a symbolic ref, or one leads to it.
 */
export async function whyBranchStays(git: Git, place: Place): Promise<string | null> {
  const elsewhere = checkedOutAt(place);
  if (elsewhere !== null) return `its branch is checked out in ${elsewhere}`;
  return symbolicUse(git, place);
}

/**
 * Another checkout than the task's worktree that is on the task's branch, or will come back to it after a rebase or bisect;
 * null for none.
 */
export function checkedOutAt({ branch, repository, adminDir }: Place): string | null {
  const ref = refOf(branch);
  const { commonDir } = repository;
  const linked = join(commonDir, 'worktrees');
  const names = existsSync(linked) ? readdirSync(linked) : [];
  const found = [commonDir, ...names.map((name) => join(linked, name))]
    .filter((gitDir) => gitDir !== adminDir)
    .find((gitDir) => isOn(gitDir, ref));
  if (found === undefined) return null;
  if (found !== commonDir) return dirname(textIn(join(found, 'gitdir')) ?? found);
  return basename(commonDir) === '.git' ? dirname(commonDir) : commonDir;
}

function isOn(gitDir: string, ref: string): boolean {
  return (
    textIn(join(gitDir, 'HEAD')) === `ref: ${ref}` ||
    textIn(join(gitDir, 'rebase-merge/head-name')) === ref ||
    textIn(join(gitDir, 'rebase-apply/head-name')) === ref ||
    textIn(join(gitDir, 'BISECT_START')) === ref.replace('refs/heads/', '')
  );
}

/** A symbolic ref is no branch that holds commits; to remove or write one would be to do so to the branch behind it. */
async function symbolicUse(git: Git, { branch, repository }: Place): Promise<string | null> {
  const ref = refOf(branch);
  const format = '--format=%(if)%(symref)%(then)%(refname) %(symref)%(end)';
  const all = await git.line({ cwd: repository.top, args: ['for-each-ref', format] });
  for (const line of all.split('\n')) {
    const [from, to] = line.split(' ');
    if (from === ref) return `its branch is a symbolic ref to ${to}`;
    if (to === ref) return `the symbolic ref ${from} leads to its branch`;
  }
  return null;
}
