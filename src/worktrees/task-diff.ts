import { isUtf8 } from 'node:buffer';
import { AiwgdError } from '../protocol/errors.js';
import type { ChangedFile, TaskDiff } from '../protocol/worktrees.js';
import { splitNul, textOf } from './byte-paths.js';
import { type Git, GitFailure } from './git.js';
import type { Workshop } from './make-worktree.js';
import { placeOf } from './place.js';
import { commitOf, findRepository, refOf } from './repository.js';
import { snapshot } from './snapshot.js';

const MOST_FILES = 10_000;
const MOST_NAMED = 20;
const MOST_DIFF_BYTES = 8 * 1024 * 1024;
/** As JSON, in which a control character takes six bytes: an answer has 16 MiB. */
const MOST_JSON_BYTES = 12 * 1024 * 1024;
const MOST_LIST_BYTES = 3 * 1024 * 1024;
/** As a person expects them, whatever the settings say. */
const PLAIN = [
  '--no-ext-diff',
  '--no-textconv',
  '--no-color',
  '--no-renames',
  '--no-relative',
  '--ignore-submodules=dirty',
  '--submodule=short',
];
const PATCH = ['--src-prefix=a/', '--dst-prefix=b/'];
const STATUSES: Readonly<Record<string, ChangedFile['status']>> = {
  A: 'added',
  D: 'deleted',
  M: 'modified',
  T: 'type changed',
};

/**
 * Everything that a task did, against the commit from which it started: commits, changes and untracked files. Throws
 * NOT_FOUND where it has no worktree and no branch (any more).
 */
export async function taskDiff({ git, records, project }: Workshop, owner: string): Promise<TaskDiff> {
  const record = records.read(owner);
  if (record === undefined) {
    throw new AiwgdError(
      'NOT_FOUND',
      `${owner} has no worktree: its agent is not isolated, it has not started, or the worktree was pruned.`,
    );
  }
  const repository = await findRepository(git, project);
  const place = placeOf(record, repository, records.realPathOf(owner));
  const { top } = repository;
  const { branch, base } = record;
  const whole = { taskId: owner, branch, base };
  if (place.present && place.adminDir !== null && record.state === 'ready') {
    await using taken = await snapshot(git, place, record, { keep: false });
    const ask = { cwd: place.path, env: taken.env };
    const compared = await compare(git, ask, ['--cached', base], branch);
    const dirty = taken.dirtySubmodules.map(textOf).join(', ');
    const notes = [
      taken.notes === '' ? '' : `Not all could be looked at: ${taken.notes}`,
      dirty === '' ? '' : `Not shown is what is not committed in the submodules themselves: ${dirty}`,
      compared.notes,
    ];
    return { ...whole, ...compared, notes: notes.filter((note) => note !== '').join('\n') };
  }
  const end = (await commitOf(git, top, refOf(record.branch))) ?? record.mergedHead;
  if (end === null) throw new AiwgdError('NOT_FOUND', `Of ${owner} neither worktree nor branch is left.`);
  return { ...whole, ...(await compare(git, { cwd: top }, [base, end], branch)) };
}

interface Where {
  cwd: string;
  env?: Readonly<Record<string, string>>;
}

async function compare(
  git: Git,
  where: Where,
  what: readonly string[],
  branch: string,
): Promise<Pick<TaskDiff, 'files' | 'diff' | 'truncated' | 'notes'>> {
  const files = await changedFiles(git, where, what);
  const args = ['diff', ...PLAIN, ...PATCH, '--patch', ...what, '--'];
  const { code, stdout, stderr, cut } = await git.run({
    ...where,
    args,
    maxBytes: MOST_DIFF_BYTES,
    cut: true,
  });
  if (code !== 0) throw new GitFailure(args, `failed (exit code ${code})`, stderr);
  let bytes = cut ? wholeLines(stdout) : stdout;
  let text = bytes.toString('utf8');
  let truncated = cut;
  while (Buffer.byteLength(JSON.stringify(text)) > MOST_JSON_BYTES) {
    bytes = wholeLines(bytes.subarray(0, bytes.length >> 1));
    text = bytes.toString('utf8');
    truncated = true;
  }
  const ends = `${what.find((word) => !word.startsWith('-'))} ${branch}`;
  const note = `[cut here: the rest is too long to be shown. The whole of what is committed: git diff ${ends}]\n`;
  const shown = fitting(files);
  return {
    files: shown,
    diff: truncated ? text + note : text,
    truncated: truncated || shown.length < files.length,
    notes: notesOn(files, bytes, ends),
  };
}

/** A diff is text; what cannot be said in it must not go unnoticed by who applies it. */
function notesOn(files: readonly ChangedFile[], diff: Buffer, ends: string): string {
  const binary = files.filter(({ added }) => added === null).map(({ path }) => path);
  const more = binary.length > MOST_NAMED ? ` and ${binary.length - MOST_NAMED} more` : '';
  const why = [
    ...(binary.length > 0 ? [`binary files (${binary.slice(0, MOST_NAMED).join(', ')}${more})`] : []),
    ...(isUtf8(diff) ? [] : ['text that is not UTF-8']),
  ];
  if (why.length === 0) return '';
  return `This diff cannot be applied elsewhere: it lacks ${why.join(' and ')}. One of what is committed can: git diff --binary ${ends}`;
}

function fitting(files: readonly ChangedFile[]): ChangedFile[] {
  let bytes = 0;
  const end = files.findIndex((file, index) => {
    bytes += Buffer.byteLength(JSON.stringify(file));
    return index >= MOST_FILES || bytes > MOST_LIST_BYTES;
  });
  return end === -1 ? [...files] : files.slice(0, end);
}

function wholeLines(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1);
}

/** Files that differ, in the order of their paths. */
export async function changedFiles(git: Git, where: Where, what: readonly string[]): Promise<ChangedFile[]> {
  const ask = async (form: string): Promise<string[]> =>
    splitNul(await git.ok({ ...where, args: ['diff', ...PLAIN, '-z', form, ...what, '--'] }));
  const statuses = await ask('--name-status');
  const counts = new Map(
    (await ask('--numstat')).map((entry) => {
      const [added = '', removed = '', ...path] = entry.split('\t');
      return [path.join('\t'), { added: countOf(added), removed: countOf(removed) }] as const;
    }),
  );
  const files: ChangedFile[] = [];
  for (let at = 0; at + 1 < statuses.length; at += 2) {
    const [letter = '', path = ''] = statuses.slice(at, at + 2);
    const { added = null, removed = null } = counts.get(path) ?? {};
    files.push({ path: textOf(path), status: STATUSES[letter] ?? 'modified', added, removed });
  }
  return files;
}

/** Null for a binary file. */
function countOf(text: string): number | null {
  return text === '-' ? null : Number(text);
}
