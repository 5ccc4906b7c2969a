import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolders } from '../platform/make-folder.js';
import type { Claim } from '../tasks/task-store.js';
import type { AttemptEnd } from './attempt.js';
import { OWN_FOLDERS } from './attempt-files.js';

/**
 * Leaves what became of an attempt beside its output, whole or not at all. Off the event loop: on a journaling file
 * system a new file may wait for the store's flush, which happens at the same moment.
 */
export async function writeResultFile(folder: string, claim: Claim, end: AttemptEnd): Promise<void> {
  const { verdict, verb, startedAt, ...facts } = end;
  const result = {
    taskId: claim.task.id,
    attempt: claim.task.attempt,
    attemptId: claim.attemptId,
    startedAt: new Date(startedAt).toISOString(),
    endedAt: new Date(startedAt + facts.durationMs).toISOString(),
    endedBy: verb,
    ...facts,
    ...verdict,
  };
  const path = join(folder, 'result.json');
  const temporary = `${path}.tmp`;
  try {
    await writeNew(temporary, `${JSON.stringify(result)}\n`);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true, recursive: true });
    throw error;
  }
}

/** Whatever the agent put there is not written to: a FIFO would hold us for ever, a link lead us elsewhere. */
async function writeNew(path: string, text: string): Promise<void> {
  const options = { mode: 0o600, flag: 'wx' };
  try {
    await writeFile(path, text, options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') await rm(path, { force: true, recursive: true });
    // An attempt that was refused before its launch has no folder yet.
    else if (code === 'ENOENT') makeFolders(dirname(path), OWN_FOLDERS, 0o700);
    else throw error;
    await writeFile(path, text, options);
  }
}
