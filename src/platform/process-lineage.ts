import { readFileSync } from 'node:fs';
import { isGone } from './process-identity.js';
import { type ProcessMarks, readMarks } from './process-table.js';

/** No chain of parents is longer; one that seems so has changed while it was read. */
const MOST_ANCESTORS = 1_000;

interface Kin {
  parent: number;
  /** The leader of its session. */
  session: number;
}

/** Undefined for a process that has ended; a zombie has. */
function kinOf(pid: number): Kin | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
  const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? undefined : { parent: Number(parent), session: Number(session) };
}

/**
 * The marks that `wanted` accepts, of a process or of the nearest of those it comes from: its parents, and the leaders of
 * their sessions, which still tell of a process whose parent has ended. `none` where there are no such marks; `gone` where
 * the process itself has ended, so that nobody can tell. Linux only.
 */
export function marksInLineage(
  pid: number,
  wanted: (marks: ProcessMarks) => boolean,
): ProcessMarks | 'none' | 'gone' {
  let kin = kinOf(pid);
  let found: ProcessMarks | undefined;
  let leader = 0;
  let at = pid;
  for (let steps = 0; kin !== undefined && at > 1 && steps < MOST_ANCESTORS; steps++) {
    found = wantedMarks(at, wanted);
    if (found === undefined && kin.session !== leader) {
      leader = kin.session;
      found = wantedMarks(leader, wanted);
    }
    if (found !== undefined) return found;
    at = kin.parent;
    kin = kinOf(at);
  }
  // Of one that has ended meanwhile there was nothing to read.
  return kinOf(pid) === undefined ? 'gone' : 'none';
}

function wantedMarks(pid: number, wanted: (marks: ProcessMarks) => boolean): ProcessMarks | undefined {
  const marks = pid > 0 ? readMarks(pid) : 'none';
  return typeof marks === 'object' && wanted(marks) ? marks : undefined;
}
