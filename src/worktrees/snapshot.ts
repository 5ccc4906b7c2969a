import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BytePath, joinNul, splitNul } from './byte-paths.js';
import type { Git } from './git.js';
import { hiddenFiles } from './hidden.js';
import type { Place } from './place.js';
import type { WorktreeRecord } from './records.js';
import { uncommitted } from './uncommitted.js';

/** All that a worktree holds, as an index of its own: the worktree's is not touched. */
export interface Snapshot extends AsyncDisposable {
  /** For git, to work with it. */
  env: Readonly<Record<string, string>>;
  /** What could not be taken in, in git's words; empty where all was. */
  notes: string;
  /** Submodules that hold changes which are not committed in them: those cannot be taken in. */
  dirtySubmodules: BytePath[];
}

const ADD_TIMEOUT_MS = 600_000;

/**
 * Takes in commits, changes and untracked files, without what was copied and is unchanged. With `keep` the contents go
 * into the repository, ready to be committed; else they are gone with the snapshot.
 */
export async function snapshot(
  git: Git,
  place: Place,
  record: WorktreeRecord,
  { keep }: { keep: boolean },
): Promise<Snapshot> {
  const { path, adminDir, repository } = place;
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-snapshot-'));
  const dispose = (): Promise<void> => {
    rmSync(folder, { recursive: true, force: true });
    return Promise.resolve();
  };
  try {
    const index = join(folder, 'index');
    const objects = join(folder, 'objects');
    mkdirSync(objects);
    const env = {
      ...place.env,
      GIT_INDEX_FILE: index,
      ...(keep
        ? {}
        : {
            GIT_OBJECT_DIRECTORY: objects,
            GIT_ALTERNATE_OBJECT_DIRECTORIES: quoted(join(repository.commonDir, 'objects')),
          }),
    };
    const at = { cwd: path, env };
    const original = join(adminDir ?? '', 'index');
    // With the times that it knows, so that unchanged files are not read.
    if (existsSync(original)) copyIndex(original, index);
    else await git.ok({ ...at, args: ['read-tree', 'HEAD'] });
    const { copies } = await uncommitted(git, place, record);
    const hidden = await hiddenFiles(git, place);
    if (hidden.length > 0) {
      for (const flag of ['--no-assume-unchanged', '--no-skip-worktree']) {
        await git.ok({ ...at, args: ['update-index', flag, '-z', '--stdin'], input: joinNul(hidden) });
      }
    }
    const { code, stderr } = await git.run({
      ...at,
      args: ['-c', 'advice.addEmbeddedRepo=false', 'add', '--all', '--ignore-errors'],
      timeoutMs: ADD_TIMEOUT_MS,
    });
    if (copies.length > 0) {
      await git.ok({
        ...at,
        args: ['update-index', '--force-remove', '-z', '--stdin'],
        input: joinNul(copies),
      });
    }
    // All else is in the index by now.
    const left = ['diff', '--name-only', '--no-relative', '--ignore-submodules=none', '-z', '--'];
    const dirtySubmodules =
      record.submodules.length === 0 ? [] : splitNul(await git.ok({ ...at, args: left }));
    const notes = code === 0 ? '' : stderr.trim();
    return { env, notes, dirtySubmodules, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * With the index's own time, as whole seconds: git reads a file again that was changed no earlier than that, since it may
 * have been changed a second time within one tick of the clock.
 */
function copyIndex(original: string, copy: string): void {
  const second = Math.floor(statSync(original).mtimeMs / 1_000);
  copyFileSync(original, copy);
  utimesSync(copy, second, second);
}

/** The list of alternates has colons between its entries. */
function quoted(path: string): string {
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
