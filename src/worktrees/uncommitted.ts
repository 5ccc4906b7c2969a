import { type BytePath, splitNul } from './byte-paths.js';
import { unchangedCopies } from './copied-files.js';
import type { Git } from './git.js';
import type { Place } from './place.js';
import type { WorktreeRecord } from './records.js';
import { checkSubmodules } from './submodules.js';

/** What a worktree holds beside its commits. */
export interface Uncommitted {
  /** Changed, added, removed and untracked files that git does not ignore, without `copies`. */
  changed: BytePath[];
  /** Untracked files that are as they were copied: no work of the task. */
  copies: BytePath[];
  /** Files in conflict. */
  unmerged: BytePath[];
}

const CONFLICTS = new Set(['DD', 'AU', 'UD', 'UA', 'DU', 'AA', 'UU']);

/** Looks without touching the worktree's index. Throws CONFLICT where a submodule is not what it was made as. */
export async function uncommitted(git: Git, place: Place, record: WorktreeRecord): Promise<Uncommitted> {
  await checkSubmodules(git, place);
  const args = ['status', '--porcelain=v1', '-z', '--no-renames', '--untracked-files=all'];
  const entries = splitNul(
    await git.ok({ cwd: place.path, env: place.env, args: [...args, '--ignore-submodules=none'] }),
  ).map((entry) => ({ state: entry.slice(0, 2), path: entry.slice(3) }));
  const unchanged = await unchangedCopies(place.path, record.copied);
  const isCopy = ({ state, path }: { state: string; path: BytePath }): boolean =>
    state === '??' && unchanged.has(path);
  const paths = (list: typeof entries): BytePath[] => list.map(({ path }) => path);
  return {
    changed: paths(entries.filter((entry) => !isCopy(entry))),
    copies: paths(entries.filter(isCopy)),
    unmerged: paths(entries.filter(({ state }) => CONFLICTS.has(state))),
  };
}

export async function trackedFiles(git: Git, { path: folder, env }: Place): Promise<Set<BytePath>> {
  return new Set(splitNul(await git.ok({ cwd: folder, env, args: ['ls-files', '-z'] })));
}
