import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../platform/atomic-file.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';

/** What built-in actions said, beside the output of tasks: `actions/<run id>/attempt-1/`. */
export function runOutcomes(actionsDir: string, log: Log) {
  return {
    write(runId: string, { stdout, result }: { stdout: string; result: unknown }): void {
      const folder = join(actionsDir, runId, 'attempt-1');
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(join(folder, 'stdout.log'), stdout, { mode: 0o600 });
      writeFileAtomic(join(folder, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
    },
    /** Never throws: what cannot be removed stays. */
    forget(runIds: readonly string[]): void {
      for (const runId of runIds) {
        try {
          rmSync(join(actionsDir, runId), { recursive: true, force: true });
        } catch (error) {
          log.warn(
            { run: runId, reason: messageOf(error) },
            'The files of an old run cannot be removed; they stay',
          );
        }
      }
    },
  };
}
