import { isDeepStrictEqual } from 'node:util';
import type { StateDatabase } from '../../database/state-database.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { WatchConfig } from '../../protocol/config/config-schema.js';
import type { AiwgEvent, NewEvent } from '../../protocol/event.js';
import type { WatchSession } from './watch-session.js';

export interface FileWatcherOptions {
  /** The project's folder, without symbolic links in its path. */
  root: string;
  config: WatchConfig;
  db: StateDatabase;
  /** Takes an event in; called within the transaction that also notes the change as reported. */
  publish: (event: NewEvent) => AiwgEvent;
  clock: Clock;
  log: Log;
  /**
   * Raises a health issue, and with undefined clears it: `watch.limit` (the system gives no more watches; folders are
   * polled), `watch.unreadable` (folders that may not be read), `watch.report` (events cannot be stored; they wait).
   */
  onFault: (code: string, error: Error | undefined) => void;
  /** Shortest pause between two rounds of polling, in milliseconds; 1000 where not given. */
  pollPauseMs?: number;
  /** After how long a watch that the system refused is tried for again, in milliseconds; 60000 where not given. */
  watchAgainMs?: number;
}

export interface FileWatcherStatus {
  enabled: boolean;
  paths: string[];
  files: number;
  directories: number;
  /** Events reported since the start of the daemon. */
  events_received: number;
  /** Whether any folder is polled, by configuration or for want of watches; and how many are. */
  polling: boolean;
  polled_directories: number;
  /** Changes that wait for their debounce. */
  waiting: number;
}

const NOTHING = { files: 0, directories: 0, reported: 0, polled: 0, waiting: 0 };

/**
 * Reports what changes in the watched paths as events `file.create`, `file.modify` and `file.delete`, each change once,
 * also over restarts and crashes. What counts is the difference between the disk and what was reported last, so a file
 * that came and went within the debounce is no event, and a save by way of a temporary file is one change of its target.
 * Only files and symbolic links count, links as what they are: they are not followed.
 */
export class FileWatcher {
  readonly #options: FileWatcherOptions;
  #config: WatchConfig;
  #session: WatchSession | undefined;
  #closed = false;
  #reportedBefore = 0;
  /** Starts and reconfigurations, one after another. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: FileWatcherOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /**
   * Resolves when it is watching, and what changed while nobody did has been reported. What the disk does not take is
   * reported later. Throws STORAGE_FULL or STORAGE_FAILED where not even the tables can be made.
   */
  start(): Promise<void> {
    return this.#inTurn(() => this.#begin(this.#config.catch_up));
  }

  /** Takes a new configuration over. That files come into view or leave it by that is no event. */
  reconfigure(config: WatchConfig): Promise<void> {
    return this.#inTurn(async () => {
      const last = this.#config;
      if (isDeepStrictEqual(last, config)) return;
      this.#config = config;
      const session = this.#session;
      if (session === undefined) {
        if (config.enabled) await this.#begin(config.catch_up);
      } else if (!config.enabled) {
        await this.#end();
        await this.#forget();
      } else if (config.use_polling !== last.use_polling) {
        await session.reconfigure(config);
        await this.#end();
        await this.#begin(true);
      } else {
        await session.reconfigure(config);
      }
    });
  }

  status(): FileWatcherStatus {
    const { enabled, paths } = this.#config;
    const { reported, polled, ...counts } = this.#session?.status() ?? NOTHING;
    return {
      enabled,
      paths: paths.map(({ path }) => path),
      ...counts,
      events_received: this.#reportedBefore + reported,
      polling: polled > 0,
      polled_directories: polled,
    };
  }

  /** Ends at once, also in the middle of a start; what was not reported is found by the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#end();
    await this.#turn;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    // A turn that failed was told to whoever asked for it; the next ones go on.
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #begin(catchUp: boolean): Promise<void> {
    if (!this.#config.enabled) {
      await this.#forget();
      return;
    }
    // Loaded when it is needed: a project that watches nothing has no part of it in memory.
    const { WatchSession: Session } = await import('./watch-session.js');
    if (this.#closed) return;
    const session = new Session(this.#options, this.#config);
    this.#session = session;
    try {
      await session.start(catchUp);
    } catch (error) {
      session.close();
      this.#session = undefined;
      throw error;
    }
  }

  async #end(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    this.#reportedBefore += session.status().reported;
    session.close();
  }

  /** What changes while watching is switched off is not to be caught up with. */
  async #forget(): Promise<void> {
    const { FileTable } = await import('./file-table.js');
    if (!this.#closed) new FileTable(this.#options.db).clear();
  }
}
