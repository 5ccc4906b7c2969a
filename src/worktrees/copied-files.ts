import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, lstat, mkdir, readlink, symlink } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import picomatch from 'picomatch';
import { AiwgdError } from '../protocol/errors.js';
import { type BytePath, bytePathOf, splitNul, textOf, under } from './byte-paths.js';
import type { Git } from './git.js';
import type { CopiedFile } from './records.js';
import type { Repository } from './repository.js';

export interface CopyWish {
  untracked: 'none' | 'copy';
  /** Globs of further files, relative to the project. */
  copy: readonly string[];
}

const MOST_FILES = 10_000;
const MOST_BYTES = 1024 ** 3;

/**
 * Copies files that no commit has from the project's checkout into a worktree: those that git does not ignore, and those
 * that a glob names. A link is copied as a link, and only where it stays within the repository; nothing is followed out
 * of either folder. Answers what was copied. Throws INVALID_PARAMS where it is too much.
 */
export async function copyFiles(
  git: Git,
  repository: Repository,
  target: string,
  wish: CopyWish,
): Promise<CopiedFile[]> {
  const paths = await chosenFiles(git, repository, wish);
  if (paths.length > MOST_FILES) throw tooMuch(`${paths.length} files`);
  const copied: CopiedFile[] = [];
  let bytes = 0;
  for (const path of paths) {
    const source = under(repository.top, path);
    const stats = await lstat(source).catch(() => undefined);
    // It went, or became something else, since git listed it.
    if (stats === undefined || !(stats.isFile() || stats.isSymbolicLink())) continue;
    bytes += stats.size;
    if (bytes > MOST_BYTES) throw tooMuch('more than 1 GiB');
    if (!(await makeParents(target, path))) continue;
    const made = stats.isFile()
      ? await copyOne(source, under(target, path))
      : await copyLink(repository.top, target, path);
    const sha256 = made ? await digestOf(target, path) : undefined;
    if (sha256 !== undefined) copied.push({ path, sha256 });
  }
  return copied;
}

/** Those of the copied files that are as they were copied. */
export async function unchangedCopies(target: string, copied: readonly CopiedFile[]): Promise<Set<BytePath>> {
  const unchanged = new Set<BytePath>();
  for (const { path, sha256 } of copied) {
    if ((await digestOf(target, path)) === sha256) unchanged.add(path);
  }
  return unchanged;
}

/** Copied files that are there and not as they were copied. */
export async function changedCopies(target: string, copied: readonly CopiedFile[]): Promise<BytePath[]> {
  const changed: BytePath[] = [];
  for (const { path, sha256 } of copied) {
    const digest = await digestOf(target, path);
    if (digest !== undefined && digest !== sha256) changed.push(path);
  }
  return changed;
}

async function chosenFiles(git: Git, repository: Repository, wish: CopyWish): Promise<BytePath[]> {
  const { top, project } = repository;
  const list = async (...flags: string[]): Promise<BytePath[]> =>
    // A repository within is listed as a folder, with a slash at its end: it is not copied.
    splitNul(await git.ok({ cwd: top, args: ['ls-files', '-z', '--others', ...flags] })).filter(
      (path) => !path.endsWith('/'),
    );
  const prefix = bytePathOf(posix.relative(top, project));
  const at = prefix === '' ? '' : `${prefix}/`;
  const chosen = new Set<BytePath>(wish.untracked === 'copy' ? await list('--exclude-standard') : []);
  if (wish.copy.length > 0) {
    const matches = picomatch([...wish.copy, ...wish.copy.map((glob) => `${glob.replace(/\/+$/u, '')}/**`)], {
      dot: true,
      posix: true,
    });
    for (const path of await list()) {
      if (path.startsWith(at) && matches(textOf(path.slice(at.length)))) chosen.add(path);
    }
  }
  return [...chosen].filter((path) => !isOfDaemon(path, at));
}

/** What the daemon itself keeps in the project. */
function isOfDaemon(path: BytePath, at: string): boolean {
  const own = [`${at}.aiwg/daemon/`, `${at}.aiwg/working/`, `${at}.aiwg/daemon.pid`];
  return own.some((start) => path.startsWith(start));
}

/** The folders above a file, none of them a link. False where something else is there. */
async function makeParents(target: string, path: BytePath): Promise<boolean> {
  const names = path.split('/').slice(0, -1);
  for (let depth = 1; depth <= names.length; depth += 1) {
    const folder = under(target, names.slice(0, depth).join('/'));
    const stats = await lstat(folder).catch(() => undefined);
    if (stats === undefined) await mkdir(folder);
    else if (!stats.isDirectory()) return false;
  }
  return true;
}

/** False where the commit has a file there already, which stays. */
async function copyOne(source: Buffer, target: Buffer): Promise<boolean> {
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function copyLink(top: string, target: string, path: BytePath): Promise<boolean> {
  const goal = await readlink(under(top, path), { encoding: 'buffer' });
  const end = posix.normalize(posix.join(dirname(path), goal.toString('latin1')));
  // An absolute goal would lead from the worktree into the project.
  if (goal[0] === 0x2f || end === '..' || end.startsWith('../')) return false;
  try {
    await symlink(goal, under(target, path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Of a file's content, or of where a link leads; undefined where neither is there. */
async function digestOf(folder: string, path: BytePath): Promise<string | undefined> {
  const place = under(folder, path);
  const stats = await lstat(place).catch(() => undefined);
  const hash = createHash('sha256');
  if (stats?.isSymbolicLink()) {
    hash.update('link:').update(await readlink(place, { encoding: 'buffer' }));
    return hash.digest('hex');
  }
  if (stats === undefined) return undefined;
  // Something of another kind took its place: not as it was copied.
  if (!stats.isFile()) return 'none';
  for await (const chunk of createReadStream(place)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function tooMuch(what: string): AiwgdError {
  return new AiwgdError(
    'INVALID_PARAMS',
    `To copy into the worktree: ${what}; at most 10,000 files and 1 GiB are copied. Narrow \`worktree.copy\` of the agent, or set \`worktree.untracked\` to none.`,
  );
}
