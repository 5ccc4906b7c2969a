import { readFileSync } from 'node:fs';
import type { ProjectPaths } from '../../protocol/project-paths.js';

/**
 * The file that the project's newest daemon was started with by `--config`, as its state says; undefined for
 * `.aiwg/daemon.json`, and where there is no state to read.
 */
export function configFileInForce(paths: ProjectPaths): string | undefined {
  let file: unknown;
  try {
    ({ config_file: file } = JSON.parse(readFileSync(paths.state, 'utf8')) as { config_file?: unknown });
  } catch {
    // It is written at the start of each daemon: without it there was none, or the disk was full even then.
    return undefined;
  }
  return typeof file === 'string' && file !== paths.config ? file : undefined;
}
