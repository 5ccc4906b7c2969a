import { existsSync, renameSync } from 'node:fs';

/**
 * A free name for a damaged file beside the original: `<path>.damaged-20260131T235959Z`, counted on where that is
 * taken, so that nothing kept is ever overwritten. `time` is in milliseconds since 1970.
 */
export function keepAsidePath(path: string, time: number): string {
  const stamp = new Date(time).toISOString().replace(/\.\d+|[-:]/g, '');
  const first = `${path}.damaged-${stamp}`;
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? first : `${first}-${count}`;
    if (!existsSync(name)) return name;
  }
}

/**
 * Moves a damaged database aside and answers its new path. The -wal goes along under the name that SQLite looks for,
 * so that whatever can be saved is saved with it. Nobody may have the database open.
 */
export function keepDatabaseAside(path: string, time: number): string {
  const kept = keepAsidePath(path, time);
  renameSync(path, kept);
  for (const suffix of ['-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, kept + suffix);
  }
  return kept;
}
