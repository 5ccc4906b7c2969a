import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFaultText } from '../../platform/write-fault.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';

/** More than a start writes: of database, state and log. */
const ROOM_BYTES = 256 * 1024;

/**
 * Throws START_FAILED where the next daemon could not write what a start writes: the one that runs is better left, for
 * it waits for room, and its agents can be cancelled.
 */
export function requireRoom({ daemon }: ProjectPaths): void {
  // Each start clears such a name away, should we be killed here.
  const probe = join(daemon, 'room.tmp');
  try {
    writeFileSync(probe, Buffer.alloc(ROOM_BYTES), { mode: 0o600 });
  } catch (cause) {
    // A folder that was removed is made again by the start.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new AiwgdError(
      'START_FAILED',
      `The daemon was left running, because the next one could not start: ${writeFaultText(daemon, cause)}`,
      { cause },
    );
  } finally {
    rmSync(probe, { force: true });
  }
}
