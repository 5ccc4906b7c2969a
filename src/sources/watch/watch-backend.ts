import { type FSWatcher, watch } from 'node:fs';
import { splitPath, systemPath } from './byte-path.js';

export interface DirectoryWatch {
  close(): void;
}

/** `rename`: a name in the folder came or went; `change`: what has that name changed. Null where the system does not say. */
export type DirectoryListener = (type: 'rename' | 'change', name: string | null) => void;

/** How the system tells that something in a folder changed. What exactly, is found out by looking. */
export interface WatchBackend {
  /** Watches one folder, not those in it. `path` is relative to the project. Throws the system's error. */
  open(path: string, listener: DirectoryListener, onError: (error: Error) => void): DirectoryWatch;
  close(): void;
}

/** Linux: one inotify watch per folder. */
export class PerDirectoryBackend implements WatchBackend {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  open(path: string, listener: DirectoryListener, onError: (error: Error) => void): DirectoryWatch {
    const watcher: FSWatcher = watch(
      systemPath(`${this.#root}/${path}`),
      { persistent: false },
      (type, name) => {
        // The project's folder, which is opened with a slash at its end, is told of under no name at all. That its times or
        // permissions are others is nothing; it was moved or removed where it is a `rename`.
        if (name !== '') listener(type, name);
        else if (type === 'rename') listener(type, null);
      },
    );
    watcher.on('error', onError);
    return watcher;
  }

  close(): void {
    // Each watch is closed by whoever opened it.
  }
}

/** macOS: FSEvents watch a whole tree at the cost of one; its events are handed to the folders they are about. */
export class RecursiveBackend implements WatchBackend {
  readonly #root: string;
  readonly #listeners = new Map<string, Set<DirectoryListener>>();
  readonly #errorListeners = new Set<(error: Error) => void>();
  #watcher: FSWatcher | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  open(path: string, listener: DirectoryListener, onError: (error: Error) => void): DirectoryWatch {
    this.#watcher ??= this.#watchAll();
    const listeners = this.#listeners.get(path) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(path, listeners);
    this.#errorListeners.add(onError);
    return {
      close: () => {
        listeners.delete(listener);
        if (listeners.size === 0 && this.#listeners.get(path) === listeners) this.#listeners.delete(path);
        this.#errorListeners.delete(onError);
      },
    };
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #watchAll(): FSWatcher {
    const watcher = watch(this.#root, { persistent: false, recursive: true }, (type, path) =>
      this.#hand(type, path),
    );
    watcher.on('error', (error) => {
      this.close();
      for (const listener of this.#errorListeners) listener(error);
    });
    return watcher;
  }

  #hand(type: 'rename' | 'change', path: string | null): void {
    if (path === null) {
      for (const listeners of this.#listeners.values())
        for (const listener of listeners) listener(type, null);
      return;
    }
    const { folder, name } = splitPath(path);
    for (const listener of this.#listeners.get(folder) ?? []) listener(type, name);
  }
}

export function platformBackend(root: string): WatchBackend {
  return process.platform === 'darwin' ? new RecursiveBackend(root) : new PerDirectoryBackend(root);
}
