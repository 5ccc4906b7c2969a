import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder whose parent exists; one that is there is left as it is. Returns whether it was made. Throws the
 * system's own reason (Node's recursive form calls a read-only disk "no such file").
 */
export function makeFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return false;
    throw new Error(`${path} is not a folder; move it away`, { cause: error });
  }
}

/** Makes a folder, and of those above it that are missing no more than `above`. Throws the system's error. */
export function makeFolders(path: string, above: number, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || above === 0) throw error;
    makeFolders(dirname(path), above - 1, mode);
    mkdirSync(path, { mode });
  }
}
