import { opendir } from 'node:fs/promises';
import { type BytePath, textOf, under } from './byte-paths.js';

/** Entries that are looked at; a worktree with more is not called free of repositories. */
const MOST_ENTRIES = 2_000_000;
/** By these git itself knows one. */
const BARE = ['HEAD', 'objects', 'refs'];

/**
 * Why a worktree cannot be called free of repositories of its own, in words; undefined where it is. One in an ignored
 * folder git itself would remove without a word. `known` are the submodules that were checked out; a bare repository whose
 * HEAD is in `tracked` belongs to the project, as its tests may need one.
 */
export async function nestedRepository(
  folder: string,
  { known, tracked }: { known: ReadonlySet<BytePath>; tracked: ReadonlySet<BytePath> },
): Promise<string | undefined> {
  const waiting: BytePath[] = [''];
  let seen = 0;
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const entries = await entriesOf(folder, at);
    if (isBare(at, entries) && !tracked.has(`${at}/HEAD`)) return `${textOf(at)} is a repository of its own`;
    for (const { name, isFolder } of entries) {
      seen += 1;
      if (seen > MOST_ENTRIES) return 'it has too many files to look for repositories among them';
      const isMark = name === '.git';
      if (isMark && at !== '' && !known.has(at)) return `${textOf(at)} is a repository of its own`;
      if (isFolder && !isMark) waiting.push(at === '' ? name : `${at}/${name}`);
    }
  }
  return undefined;
}

function isBare(at: BytePath, entries: readonly { name: BytePath }[]): boolean {
  const names = new Set(entries.map(({ name }) => name));
  return at !== '' && BARE.every((name) => names.has(name));
}

async function entriesOf(folder: string, at: BytePath): Promise<{ name: BytePath; isFolder: boolean }[]> {
  const found: { name: BytePath; isFolder: boolean }[] = [];
  const place = at === '' ? Buffer.from(folder) : under(folder, at);
  try {
    // Names as bytes; Node's types do not know of it.
    for await (const entry of await opendir(place, { encoding: 'latin1' })) {
      found.push({ name: entry.name, isFolder: entry.isDirectory() });
    }
  } catch (error) {
    // It went meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return found;
}
