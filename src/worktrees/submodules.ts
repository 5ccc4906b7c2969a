import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import { bytesOf, splitNul, textOf, under } from './byte-paths.js';
import type { Git } from './git.js';
import { hasOwnRefs, hiddenFiles } from './hidden.js';
import { type Place, textIn } from './place.js';
import type { SubmoduleRecord } from './records.js';
import { commitOf, holdsOwnCommits, unfinishedOperation } from './repository.js';

/** Nobody nests deeper; a chain of links might. */
const MOST_DEPTH = 16;
const MAKE_TIMEOUT_MS = 600_000;

interface Trees {
  /** Checkout of the project. */
  source: string;
  /** The worktree. */
  target: string;
}

/**
 * Checks out the submodules that the project's checkout has, and those within them, as worktrees of the repositories
 * that the project has of them: nothing is fetched, and no commit is ever in the worktree alone. Answers them, outer ones
 * first. Throws INVALID_PARAMS where the project's copy lacks the commit.
 */
export async function checkOutSubmodules(
  git: Git,
  trees: Trees,
  onStart: (pid: number) => void,
  within = '',
  depth = 0,
): Promise<SubmoduleRecord[]> {
  const made: SubmoduleRecord[] = [];
  if (depth > MOST_DEPTH) return made;
  for (const { path: local, commit } of await gitlinks(git, folderText(trees.target, within))) {
    const path = within === '' ? local : `${within}/${local}`;
    const source = folderText(trees.source, path);
    // What the project itself has not checked out stays an empty folder here too.
    if (!existsSync(under(source, '.git'))) continue;
    if ((await commitOf(git, source, commit)) === null) {
      throw new AiwgdError(
        'INVALID_PARAMS',
        `The submodule ${textOf(path)} of the project does not have the commit ${commit}; run git submodule update --init --recursive in ${trees.source}.`,
      );
    }
    const place = folderText(trees.target, path);
    if (!existsSync(under(place, '.git'))) {
      await git.ok({
        cwd: source,
        // By force, since one that was half made and removed may still be registered at this place.
        args: ['worktree', 'add', '--quiet', '--force', '--detach', '--', place, commit],
        timeoutMs: MAKE_TIMEOUT_MS,
        onStart,
      });
    }
    made.push({ path, commit }, ...(await checkOutSubmodules(git, trees, onStart, path, depth + 1)));
  }
  return made;
}

/** Takes the submodules out again, inner ones first. Rejects where one has changes: then it stays, and those around it. */
export async function removeSubmodules(
  git: Git,
  target: string,
  submodules: readonly SubmoduleRecord[],
): Promise<void> {
  for (const { path } of submodules.toReversed()) {
    const place = folderText(target, path);
    if (!existsSync(under(place, '.git'))) continue;
    // Of its own repository: what the project has at this path may have changed.
    const repository = await git.line({
      cwd: place,
      args: ['rev-parse', '--path-format=absolute', '--git-common-dir'],
    });
    await git.ok({ cwd: target, env: { GIT_DIR: repository }, args: ['worktree', 'remove', '--', place] });
    // To git a submodule without its folder is a removed one.
    mkdirSync(place, { recursive: true });
  }
}

/**
 * Throws CONFLICT where git would take a repository in the worktree for a submodule's that neither the daemon nor git itself
 * put there: to look at it would be to run the programs that its settings name.
 */
export async function checkSubmodules(git: Git, place: Place, within = '', depth = 0): Promise<void> {
  const { path, env } = place;
  const links = await gitlinks(git, folderText(path, within), within === '' ? env : {});
  for (const { path: local } of depth > MOST_DEPTH ? [] : links) {
    const inner = within === '' ? local : `${within}/${local}`;
    const mark = join(folderText(path, inner), '.git');
    if (lstatSync(mark, { throwIfNoEntry: false }) === undefined) continue;
    if (!(await isOfSubmodule(git, place, inner, mark))) {
      throw new AiwgdError(
        'CONFLICT',
        `The .git of the submodule ${textOf(inner)} in ${path} does not lead to the project's repository of it, and is not looked at. If the project was moved, the next attempt of the task mends it; else save what you need of it and remove it.`,
      );
    }
    await checkSubmodules(git, place, inner, depth + 1);
  }
}

async function isOfSubmodule(
  git: Git,
  { adminDir, repository }: Place,
  inner: string,
  mark: string,
): Promise<boolean> {
  const gitDir = textIn(mark)?.replace(/^gitdir: /u, '') ?? '';
  // A task may have checked out one that the project has not: git keeps that with the worktree.
  if (resolve(dirname(mark), gitDir).startsWith(`${join(adminDir ?? '', 'modules')}/`)) return true;
  const source = folderText(repository.top, inner);
  return existsSync(under(source, '.git')) && gitDir === (await adminDirOf(git, source, [mark]));
}

/** What a repository keeps of the worktree whose file `.git` is, or was, one of these. */
export async function adminDirOf(
  git: Git,
  source: string,
  marks: readonly string[],
): Promise<string | undefined> {
  const args = ['rev-parse', '--path-format=absolute', '--git-common-dir'];
  const all = join(realpathSync(await git.line({ cwd: source, args })), 'worktrees');
  const names = existsSync(all) ? readdirSync(all) : [];
  return names
    .map((name) => join(all, name))
    .find((folder) => marks.includes(textIn(join(folder, 'gitdir')) ?? ''));
}

/** What git's look at a worktree passes over in its submodules, in words; undefined for nothing. */
export async function hiddenInSubmodules(
  git: Git,
  target: string,
  submodules: readonly SubmoduleRecord[],
): Promise<string | undefined> {
  for (const { path } of submodules) {
    const place = folderText(target, path);
    if (!existsSync(under(place, '.git'))) continue;
    const name = `the submodule ${textOf(path)}`;
    const gitDir = await git.line({ cwd: place, args: ['rev-parse', '--absolute-git-dir'] });
    const operation = unfinishedOperation(gitDir);
    if (operation !== undefined) return `in ${name} ${operation} is in progress`;
    const at = { path: place, env: {} };
    const [hidden] = await hiddenFiles(git, at);
    if (hidden !== undefined) return `in ${name} ${textOf(hidden)} is hidden from git (assume-unchanged)`;
    if (await hasOwnRefs(git, at)) return `${name} has refs of its own (refs/worktree)`;
  }
  return undefined;
}

/** Submodules with commits that no branch of theirs has. */
export async function submodulesWithOwnCommits(
  git: Git,
  { source, target }: Trees,
  submodules: readonly SubmoduleRecord[],
): Promise<string[]> {
  const found: string[] = [];
  for (const { path, commit } of submodules) {
    const place = folderText(target, path);
    if (!existsSync(under(place, '.git'))) continue;
    const head = await commitOf(git, place, 'HEAD');
    if (head === null) continue;
    const original = folderText(source, path);
    const there = existsSync(under(original, '.git')) ? await commitOf(git, original, 'HEAD') : null;
    const known = there === null ? [commit] : [commit, there];
    if (await holdsOwnCommits(git, place, [head], known)) found.push(textOf(path));
  }
  return found;
}

/**
 * A repository in the worktree that the task would bring along as a submodule, and that nobody else has: it is not in
 * `.gitmodules`, or its commit is in no branch of a remote. Undefined for none.
 */
export async function unknownRepository(
  git: Git,
  at: { cwd: string; env: Readonly<Record<string, string>> },
  { base, submodules }: { base: string; submodules: readonly SubmoduleRecord[] },
): Promise<string | undefined> {
  const raw = splitNul(
    await git.ok({ ...at, args: ['diff', '--cached', '--raw', '--no-renames', '-z', base, '--'] }),
  );
  const known = new Set(submodules.map(({ path }) => path));
  const paths = raw.filter((_, index) => /^:\d+ 160000 /u.test(raw[index - 1] ?? ''));
  for (const path of paths) {
    const place = folderText(at.cwd, path);
    if (known.has(path) || !existsSync(under(place, '.git'))) continue;
    const named = await git.run({
      cwd: at.cwd,
      args: ['config', '--file', '.gitmodules', '--null', '--get-regexp', '^submodule\\..*\\.path$'],
    });
    const listed = splitNul(named.stdout).some((entry) => entry.split('\n').slice(1).join('\n') === path);
    const own = ['rev-list', '--max-count=1', 'HEAD', '--not', '--remotes'];
    if (!listed || (await git.line({ cwd: place, args: own })) !== '') return textOf(path);
  }
  return undefined;
}

/** A folder below another. Submodules live at paths that are text: git itself refuses others in `.gitmodules`. */
function folderText(folder: string, path: string): string {
  return path === '' ? folder : `${folder}/${bytesOf(path).toString('utf8')}`;
}

async function gitlinks(git: Git, cwd: string, env = {}): Promise<SubmoduleRecord[]> {
  const top = await git.line({ cwd, env, args: ['rev-parse', '--show-toplevel'] });
  if (realpathSync(top) !== realpathSync(cwd)) return [];
  return splitNul(await git.ok({ cwd, env, args: ['ls-files', '-z', '--stage'] })).flatMap((entry) => {
    const [head, path] = [entry.slice(0, entry.indexOf('\t')), entry.slice(entry.indexOf('\t') + 1)];
    const [mode, commit = ''] = head.split(' ');
    return mode === '160000' ? [{ path, commit }] : [];
  });
}
