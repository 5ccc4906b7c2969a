import { statSync } from 'node:fs';
import type { ProjectPaths } from '../protocol/project-paths.js';
import type { HealthRegister } from './health.js';

/** The daemon's look at what it stands on: whoever removes its lock or its database under it does not end it. */
export class SelfCheck {
  readonly #paths: ProjectPaths;
  readonly #health: HealthRegister;
  readonly #keepLock: () => void;
  #databaseInode: number | undefined;

  /** `keepLock` writes the lock again where somebody removed it; the commands find us by it. */
  constructor(paths: ProjectPaths, health: HealthRegister, keepLock: () => void) {
    this.#paths = paths;
    this.#health = health;
    this.#keepLock = keepLock;
  }

  look(): void {
    this.#health.checked();
    try {
      this.#keepLock();
      this.#health.clear('lock');
    } catch (error) {
      this.#health.fault('lock', error);
    }
    this.#checkDatabase();
  }

  /** SQLite goes on writing into a file that was removed or replaced: all of it would be gone with this process. */
  #checkDatabase(): void {
    const { database } = this.#paths;
    const { ino } = statSync(database, { throwIfNoEntry: false }) ?? {};
    this.#databaseInode ??= ino;
    if (ino === this.#databaseInode) this.#health.clear('database_gone');
    else
      this.#health.raise(
        'database_gone',
        `${database} was removed or replaced while the daemon runs. Restart it: the queue is saved to tasks.json at the stop and taken from there.`,
      );
  }
}
