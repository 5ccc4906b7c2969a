import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../protocol/errors.js';
import { whyBranchStays } from './branch-use.js';
import { type BytePath, under } from './byte-paths.js';
import type { Git } from './git.js';
import { asFound, takeAway } from './half-made.js';
import { inspect } from './inspection.js';
import type { Workshop } from './make-worktree.js';
import { holdHead, type Place, placeOf } from './place.js';
import type { WorktreeRecord } from './records.js';
import { findRepository, type Repository, refOf } from './repository.js';
import { checkOutSubmodules, removeSubmodules } from './submodules.js';

const REMOVE_TIMEOUT_MS = 600_000;

export interface RemovalRequest {
  owner: string;
  dryRun: boolean;
  /** The queued or running task that uses it, in words; null for none. */
  usedBy: () => Promise<string | null>;
}

/**
 * Removes a worktree with its branch where that destroys nothing, and answers null; else why it stays. Git is never
 * told to use force: what came about since the look makes it refuse. Call it for one owner at a time.
 */
export async function removeWorktree(shop: Workshop, request: RemovalRequest): Promise<string | null> {
  const { git, records, turns } = shop;
  const { owner } = request;
  const known = records.read(owner);
  if (known === undefined) return 'there is no worktree of it';
  const repository = await findRepository(git, shop.project);
  const record = asFound(repository, known, records.realPathOf(owner));
  if (record.state === 'making') return removeHalfMade(shop, repository, record, request);
  const place = placeOf(record, repository, records.realPathOf(owner));
  const why = (await request.usedBy()) ?? (await inspect(git, place, record)).why;
  if (why !== null || request.dryRun) return why;
  const reason = await turns.take(repository.commonDir, async () => {
    const release = holdHead(place);
    try {
      return await removeHeld(git, place, record, request);
    } finally {
      release();
    }
  });
  if (reason === null) records.remove(owner);
  return reason;
}

/** As it is now: the first look may have waited for others. */
async function removeHeld(
  git: Git,
  place: Place,
  record: WorktreeRecord,
  { usedBy }: RemovalRequest,
): Promise<string | null> {
  const now = await inspect(git, place, record);
  const reason = now.why ?? (await usedBy());
  if (reason !== null) return reason;
  try {
    await takeOut(git, place, record, now.copies);
  } catch (error) {
    return messageOf(error);
  }
  if (now.tip === null) return null;
  // Taking it out may have taken minutes.
  const stays = await whyBranchStays(git, place);
  if (stays !== null) return `the worktree is gone, but ${stays}`;
  // With the commit that was looked at: a branch that moved on meanwhile stays.
  const args = ['update-ref', '--no-deref', '-d', refOf(record.branch), now.tip];
  const { code, stderr } = await git.run({ cwd: place.repository.top, args, whole: true });
  return code === 0 ? null : `the worktree is gone, but its branch moved on and stays (${stderr.trim()})`;
}

/** One that a kill left half made, and that no task came back to: nobody has worked in it. */
async function removeHalfMade(
  shop: Workshop,
  repository: Repository,
  record: WorktreeRecord,
  { usedBy, dryRun }: RemovalRequest,
): Promise<string | null> {
  const used = await usedBy();
  if (used !== null || dryRun) return used;
  return takeAway(shop, repository, record);
}

async function takeOut(
  git: Git,
  place: Place,
  record: WorktreeRecord,
  copies: readonly BytePath[],
): Promise<void> {
  const { path, repository, adminDir, present } = place;
  const remove = {
    cwd: repository.top,
    args: ['worktree', 'remove', '--', path],
    timeoutMs: REMOVE_TIMEOUT_MS,
    whole: true,
  };
  if (!present) {
    if (adminDir !== null) await git.ok(remove);
    return;
  }
  const aside = `${path}.copies`;
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { mode: 0o700 });
  const moved: [from: Buffer, to: string][] = [];
  try {
    await removeSubmodules(git, path, record.submodules);
    // Untracked files, to git: it would refuse because of them.
    for (const [index, copy] of copies.entries()) {
      const from = under(path, copy);
      const to = join(aside, String(index));
      renameSync(from, to);
      moved.push([from, to]);
    }
    await git.ok(remove);
  } catch (error) {
    for (const [from, to] of moved) renameSync(to, from);
    rmSync(aside, { recursive: true, force: true });
    if (record.submodules.length > 0) {
      await checkOutSubmodules(git, { source: repository.top, target: path }, () => undefined);
    }
    throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}
