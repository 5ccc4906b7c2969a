import { statSync } from 'node:fs';
import type { Log } from '../platform/log.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import type { HealthRegister } from './health.js';

export interface SelfCheckOptions {
  paths: ProjectPaths;
  health: HealthRegister;
  log: Log;
  /** Makes folders, lock and pid file again where somebody removed them; the commands find us by them. */
  keepFiles: () => void;
  /** Listens again where somebody removed the socket. */
  keepSocket: () => Promise<void>;
  /** Told when the project itself is gone. */
  onProjectGone: () => void;
}

/** Only then is a project gone for good, and not on a disk that is mounted anew. */
const GONE_AFTER_LOOKS = 2;

/**
 * The daemon's look at what it stands on, at each heartbeat: whoever removes its folder under it (`git clean -fdx` does)
 * neither ends it nor hides it. Only a project that is gone ends its daemon.
 */
export class SelfCheck {
  readonly #options: SelfCheckOptions;
  readonly #folderInode: number | undefined;
  /** Looks in a row that did not find the project. */
  #missed = 0;

  constructor(options: SelfCheckOptions) {
    this.#options = options;
    this.#folderInode = inodeOf(options.paths.daemon);
  }

  look(): void {
    const { paths, health, keepFiles, onProjectGone } = this.#options;
    health.checked();
    if (inodeOf(paths.root) === undefined) {
      this.#missed += 1;
      if (this.#missed === GONE_AFTER_LOOKS) onProjectGone();
      return;
    }
    this.#missed = 0;
    if (inodeOf(paths.daemon) !== this.#folderInode) this.#tellFolderGone();
    try {
      keepFiles();
      health.clear('lock');
    } catch (error) {
      health.fault('lock', error);
    }
    void this.#keepSocket();
  }

  #tellFolderGone(): void {
    const { paths, health, log } = this.#options;
    const message =
      `${paths.daemon} was removed or replaced while the daemon runs. It was made again with the queue; the log, the ` +
      'event history and the output of agents from before are gone. To begin anew, stop the daemon first.';
    if (health.raise('folder_gone', message)) log.error({ folder: paths.daemon }, message);
  }

  async #keepSocket(): Promise<void> {
    const { health, keepSocket } = this.#options;
    try {
      await keepSocket();
      health.clear('socket');
    } catch (error) {
      health.fault('socket', error);
    }
  }
}

/** Undefined where nothing is there; 0 where the system refuses to tell. */
function inodeOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.ino;
  } catch {
    // What is in the way shows itself in the files that cannot be written.
    return 0;
  }
}
