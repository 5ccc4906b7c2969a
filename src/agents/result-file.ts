import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolders } from '../platform/make-folder.js';
import type { Claim } from '../tasks/task-store.js';
import type { AttemptEnd } from './attempt.js';
import { OWN_FOLDERS } from './attempt-files.js';

/**
 * Leaves what became of an attempt beside its output, whole or not at all. At once: through Node's thread pool the same
 * four calls cost three times as much. Throws the system's error.
 */
export function writeResultFile(folder: string, claim: Claim, end: AttemptEnd): void {
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
    writeNew(temporary, `${JSON.stringify(result)}\n`);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true, recursive: true });
    throw error;
  }
}

/** Whatever the agent put there is not written to: a FIFO would hold us for ever, a link lead us elsewhere. */
function writeNew(path: string, text: string): void {
  const options = { mode: 0o600, flag: 'wx' };
  try {
    writeFileSync(path, text, options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') rmSync(path, { force: true, recursive: true });
    // An attempt that was refused before its launch has no folder yet.
    else if (code === 'ENOENT') makeFolders(dirname(path), OWN_FOLDERS, 0o700);
    else throw error;
    writeFileSync(path, text, options);
  }
}
