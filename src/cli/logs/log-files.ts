import { closeSync, fstatSync, openSync } from 'node:fs';

/** One file of a rotated log, held open: while it is, no other file can get its inode number. */
export interface OpenLog {
  file: number;
  /** Device and inode. */
  id: string;
  /** Bytes in it when it was opened. */
  size: number;
}

function openLog(path: string): OpenLog | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { dev, ino, size } = fstatSync(file, { bigint: true });
  return { file, id: `${dev}:${ino}`, size: Number(size) };
}

/**
 * Opens `path`, `path.1`, `path.2` … from the newest to the oldest; stops before the file with the id `until`.
 * A rotation in between shifts the names, so a file may be met twice: it is taken once. The caller closes them.
 */
export function* openLogs(path: string, until?: string): Generator<OpenLog> {
  const seen = new Set<string>();
  let missing = 0;
  for (let number = 0; ; number += 1) {
    const log = openLog(number === 0 ? path : `${path}.${number}`);
    if (log === undefined) {
      // While a rotation shifts the files there is a moment with one name missing, but never two in a row.
      missing += 1;
      if (missing === 2) return;
      continue;
    }
    missing = 0;
    if (log.id === until) {
      closeSync(log.file);
      return;
    }
    if (seen.has(log.id)) {
      closeSync(log.file);
      continue;
    }
    seen.add(log.id);
    yield log;
  }
}
