import { mkdirSync } from 'node:fs';

/**
 * Makes a folder whose parent exists; one that is there is left as it is. Returns whether it was made. Throws the
 * system's own reason (Node's recursive form calls a read-only disk "no such file").
 */
export function makeFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
