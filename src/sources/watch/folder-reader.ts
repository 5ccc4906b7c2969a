import { type Dirent, readdirSync, type Stats } from 'node:fs';
import { pathOfBytes, systemPath, within } from './byte-path.js';
import { type Look, lookAt } from './file-entry.js';
import type { Directory } from './file-tree.js';
import type { UnreadableFolders } from './unreadable-folders.js';
import { readIgnoreFile } from './watch-view.js';

const IGNORE_FILE = '.gitignore';

export type FileKind = 'file' | 'folder' | 'other';

/** What is in a folder. */
export interface FolderListing {
  names: { name: string; kind: FileKind }[];
  /** The text of its `.gitignore`. */
  ignoreText: string | undefined;
  /** False where the folder may not be read: then it is what was known of it. */
  readable: boolean;
}

/** Reads folders of the project, and tells of those that cannot be read. */
export class FolderReader {
  readonly #root: string;
  readonly #unreadable: UnreadableFolders;

  constructor(root: string, unreadable: UnreadableFolders) {
    this.#root = root;
    this.#unreadable = unreadable;
  }

  /** `path` is relative to the project. */
  lookAt(path: string): Look {
    return lookAt(`${this.#root}/${path}`);
  }

  /**
   * The folder and what is in it; of `leading` names only, where these are given: then nothing else is looked at, however
   * much there is. `gone`: there is no such folder; `unknown`: nobody can tell.
   */
  read(
    directory: Directory,
    leading: readonly string[] | undefined,
  ): { stats: Stats; listing: FolderListing } | 'gone' | 'unknown' {
    const listing = this.#list(directory, leading);
    // Only now, so that nothing counts that was read through a link which has taken the folder's place.
    const stats = this.lookAt(directory.path);
    if (stats === 'unknown') {
      const reason = new Error('it may not be looked at, or its path is too long');
      this.#unreadable.tell(directory.path, reason);
      return 'unknown';
    }
    if (listing === undefined || stats === 'gone' || !stats.isDirectory()) return 'gone';
    return { stats, listing };
  }

  /** A folder is gone: whether it could be read does not matter any more. */
  forget(path: string): void {
    this.#unreadable.tell(path, undefined);
  }

  #list(directory: Directory, leading: readonly string[] | undefined): FolderListing | undefined {
    const path = `${this.#root}/${directory.path}`;
    try {
      const names = leading === undefined ? readNames(path) : this.#leadingNames(directory, leading);
      this.#unreadable.tell(directory.path, undefined);
      const hasRules = leading !== undefined || names.some(({ name }) => name === IGNORE_FILE);
      const ignoreText = hasRules ? readIgnoreFile(systemPath(`${path}/${IGNORE_FILE}`)) : undefined;
      return { names, ignoreText, readable: true };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      this.#unreadable.tell(directory.path, error as Error);
      // As it was, so that nothing in it counts as deleted.
      return { names: knownNames(directory), ignoreText: directory.place?.ownIgnoreText, readable: false };
    }
  }

  #leadingNames(directory: Directory, leading: readonly string[]): FolderListing['names'] {
    return leading.flatMap((name) => {
      const stats = this.lookAt(within(directory.path, name));
      if (typeof stats === 'string') return [];
      return [{ name, kind: kindOf(stats) }];
    });
  }
}

function knownNames(directory: Directory): FolderListing['names'] {
  return [
    ...[...directory.files.keys()].map((name) => ({ name, kind: 'file' as const })),
    ...[...directory.directories.keys()].map((name) => ({ name, kind: 'folder' as const })),
  ];
}

/** U+FFFD in a name may stand for bytes that are no character: then the names are read as bytes. */
function readNames(path: string): FolderListing['names'] {
  const bytes = systemPath(path);
  const entries = readdirSync(bytes, { withFileTypes: true });
  const names = entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  if (!names.some(({ name }) => name.includes('\uFFFD'))) return names;
  const raw = readdirSync(bytes, { withFileTypes: true, encoding: 'buffer' });
  return raw.map((entry) => ({ name: pathOfBytes(entry.name), kind: kindOf(entry) }));
}

function kindOf(entry: Pick<Dirent, 'isDirectory' | 'isFile' | 'isSymbolicLink'>): FileKind {
  if (entry.isDirectory()) return 'folder';
  return entry.isFile() || entry.isSymbolicLink() ? 'file' : 'other';
}
