import { readFileSync } from 'node:fs';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { messageOf } from '../../protocol/errors.js';
import type { Directory } from './file-tree.js';
import type { DirectoryWatch, WatchBackend } from './watch-backend.js';

/** So many events at once that the kernel's queue may have overflowed, of which libuv tells nothing. */
const BURST = 4_096;
/** A watch that could not be had is tried for again after this long. */
export const WATCH_AGAIN_MS = 60_000;
/** Errors that mean that the system has no watch left to give. */
const LIMITS = new Set(['ENOSPC', 'EMFILE', 'ENFILE', 'ENOMEM']);

export interface DirectoryWatchesOptions {
  backend: WatchBackend;
  clock: Clock;
  log: Log;
  /** Look at all folders again and again, and watch none. */
  polling: boolean;
  watchAgainMs: number;
  onEvent: (directory: Directory, type: 'rename' | 'change', name: string | null) => void;
  /** Events may have been lost. */
  onBurst: () => void;
  onFault: (code: string, error: Error | undefined) => void;
}

/** The watches of the folders in the tree; a folder that gets none is polled. */
export class DirectoryWatches {
  readonly #options: DirectoryWatchesOptions;
  readonly #burst: number;
  readonly #polled = new Set<Directory>();
  #closing: DirectoryWatch[] = [];
  #closeSoon: NodeJS.Immediate | undefined;
  #events = 0;
  #counting: NodeJS.Immediate | undefined;
  #refusedAt: number | undefined;

  constructor(options: DirectoryWatchesOptions) {
    this.#options = options;
    this.#burst = Math.min(BURST, kernelQueueLength() / 2);
  }

  /** The folders that have no watch. */
  get polled(): ReadonlySet<Directory> {
    return this.#polled;
  }

  /**
   * Watches a folder that was found, anew where it was watched already: the name may stand for another folder by now.
   * False where there is no folder of that name any more.
   */
  attach(directory: Directory): boolean {
    const old = directory.watch;
    directory.watch = undefined;
    if (this.#mayWatch()) {
      const error = this.#open(directory);
      if (error !== undefined && !this.#refused(error)) return false;
    }
    // After the new one is there: where both are the same to the kernel, the watch never ends.
    if (old !== undefined) this.#closeLater(old);
    if (directory.watch === undefined) this.#polled.add(directory);
    else this.#polled.delete(directory);
    if (this.#polled.size === 0 && this.#refusedAt !== undefined) this.#recovered();
    return true;
  }

  detach(directory: Directory): void {
    if (directory.watch !== undefined) this.#closeLater(directory.watch);
    directory.watch = undefined;
    this.#polled.delete(directory);
  }

  close(): void {
    clearImmediate(this.#closeSoon);
    clearImmediate(this.#counting);
    for (const watch of this.#closing) watch.close();
    this.#closing = [];
    this.#options.backend.close();
    if (this.#refusedAt !== undefined) this.#options.onFault('watch.limit', undefined);
  }

  #mayWatch(): boolean {
    if (this.#options.polling) return false;
    return (
      this.#refusedAt === undefined ||
      this.#options.clock.monotonic() - this.#refusedAt >= this.#options.watchAgainMs
    );
  }

  #open(directory: Directory): Error | undefined {
    try {
      const watch = this.#options.backend.open(
        directory.path,
        (type, name) => this.#hear(directory, watch, type, name),
        (error) => this.#broken(directory, watch, error),
      );
      directory.watch = watch;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #hear(directory: Directory, watch: DirectoryWatch, type: 'rename' | 'change', name: string | null): void {
    this.#count();
    // A watch that was replaced still tells what the kernel had told before.
    if (directory.watch === watch) this.#options.onEvent(directory, type, name);
  }

  /** All events that the kernel has queued come in one turn of the event loop. */
  #count(): void {
    this.#events += 1;
    this.#counting ??= setImmediate(() => {
      this.#counting = undefined;
      const burst = this.#events >= this.#burst;
      this.#events = 0;
      if (burst) this.#options.onBurst();
    });
  }

  #broken(directory: Directory, watch: DirectoryWatch, error: Error): void {
    this.#options.log.warn(
      { err: error, path: directory.path },
      'A watch broke: the folder is looked at again',
    );
    if (directory.watch === watch) this.#options.onEvent(directory, 'rename', null);
  }

  /** Whether the folder is there, though the system has no watch for it. */
  #refused(error: Error): boolean {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    // It may not be read, say: no reason to do without the other watches.
    if (!LIMITS.has(code)) return true;
    if (this.#refusedAt === undefined) {
      const sentence = `The system gives no more watches (${messageOf(error)}): the folders that got none are polled. ${remedyFor(code)}`;
      this.#options.log.warn({ err: error }, sentence);
      this.#options.onFault('watch.limit', new Error(sentence, { cause: error }));
    }
    this.#refusedAt = this.#options.clock.monotonic();
    return true;
  }

  #recovered(): void {
    this.#refusedAt = undefined;
    this.#options.log.info({}, 'All folders are watched again');
    this.#options.onFault('watch.limit', undefined);
  }

  /** In the turn after next, when the events that the kernel had for it have been counted. */
  #closeLater(watch: DirectoryWatch): void {
    this.#closing.push(watch);
    this.#closeSoon ??= setImmediate(() => {
      this.#closeSoon = setImmediate(() => {
        this.#closeSoon = undefined;
        const closing = this.#closing;
        this.#closing = [];
        for (const old of closing) old.close();
      });
    });
  }
}

function remedyFor(code: string): string {
  if (code === 'ENOSPC') {
    return 'Raise the limit (sysctl fs.inotify.max_user_watches=524288), or leave folders out with watch.ignore.';
  }
  if (code === 'EMFILE') {
    return 'Raise the limits (sysctl fs.inotify.max_user_instances=512, ulimit -n).';
  }
  return 'Make memory and open files free.';
}

function kernelQueueLength(): number {
  try {
    return Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8')) || BURST * 2;
  } catch {
    // Not Linux.
    return BURST * 2;
  }
}
