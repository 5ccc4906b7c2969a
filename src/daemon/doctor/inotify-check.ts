import { readFileSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckResult, DoctorContext } from './check.js';

const name = 'watched folders';
const LIMITS = '/proc/sys/fs/inotify';
/** Never watched, whatever the configuration says. */
const IGNORED = new Set(['node_modules', '.git']);
/** Counting further would only take time. */
const MAX_COUNTED = 50_000;
const FEW_INSTANCES = 16;
/** Other programs of the user need some too. */
const FAIR_SHARE = 0.75;

/** Whether the system lets this user watch as many folders as the configuration asks for. */
export async function checkInotify({ config, paths }: DoctorContext): Promise<CheckResult[]> {
  if (!config.watch.enabled) return [{ name, status: 'ok', detail: 'watching is off' }];
  const folders = await countFolders(config.watch.paths.map(({ path }) => join(paths.root, path)));
  if (process.platform !== 'linux') return [{ name, status: 'ok', detail: `${counted(folders)} to watch` }];
  const watches = readLimit('max_user_watches');
  const instances = readLimit('max_user_instances');
  return [judgeInotify({ folders, watches, instances })];
}

/** `folders` to watch, against what the system allows the user: watches, and programs that watch. */
export function judgeInotify(need: { folders: number; watches: number; instances: number }): CheckResult {
  const { folders, watches, instances } = need;
  const detail = `${counted(folders)} to watch; the system allows ${watches} for all programs of the user`;
  if (folders > watches * FAIR_SHARE) {
    const remedy = `Raise it (sysctl fs.inotify.max_user_watches=${Math.max(524_288, folders * 2)}), or narrow watch.paths`;
    return { name, status: folders > watches ? 'failed' : 'warning', detail, remedy };
  }
  if (instances < FEW_INSTANCES) {
    const few = `the system allows ${instances} programs of the user to watch files`;
    return {
      name,
      status: 'warning',
      detail: few,
      remedy: 'Raise it: sysctl fs.inotify.max_user_instances=128',
    };
  }
  return { name, status: 'ok', detail };
}

function counted(folders: number): string {
  return folders >= MAX_COUNTED ? `${MAX_COUNTED} or more folders` : `${folders} folders`;
}

function readLimit(file: string): number {
  return Number(readFileSync(join(LIMITS, file), 'utf8'));
}

async function countFolders(roots: readonly string[]): Promise<number> {
  const open = [...roots];
  let count = 0;
  for (let folder = open.pop(); folder !== undefined && count < MAX_COUNTED; folder = open.pop()) {
    const inner = await foldersIn(folder);
    if (inner === undefined) continue;
    count += 1;
    for (const child of inner) if (open.length < MAX_COUNTED) open.push(child);
  }
  return count;
}

/** Undefined for what is no folder, or cannot be read: then it is not watched either. */
async function foldersIn(path: string): Promise<string[] | undefined> {
  const inner: string[] = [];
  try {
    for await (const entry of await opendir(path)) {
      if (entry.isDirectory() && !IGNORED.has(entry.name)) inner.push(join(path, entry.name));
    }
  } catch {
    return undefined;
  }
  return inner;
}
