import { userInfo } from 'node:os';
import type { CallContext } from '../ipc/connection.js';
import { marksInLineage } from '../platform/process-lineage.js';
import { AiwgdError } from '../protocol/errors.js';

/** What only people do, in words for a refusal. */
export interface HumanAct {
  rule: string;
  /** Completes "Who …". */
  does: string;
}

const ANSWERING: HumanAct = { rule: 'Gates are answered by people', does: 'answers a gate' };

/**
 * Who answers a gate over the socket, as it is kept with the answer. Throws CONFLICT where that is an agent of this
 * project: what a text has talked an agent into must not be approved by that agent. This holds off agents that do what
 * they are told, not a program that hides where it comes from: it runs as the same user, who may do anything here.
 */
export function gateAnswerer(
  { connection }: Pick<CallContext, 'connection'>,
  project: string,
  { rule, does }: HumanAct = ANSWERING,
): { by: string } {
  // Elsewhere nobody can tell more than that the socket lets in nobody but the daemon's own user.
  if (process.platform !== 'linux') return { by: `${userText(process.getuid?.())} over the socket` };
  const { peer } = connection;
  if (peer === undefined) throw goneError(does);
  // The kernel gives 0 for a process outside of our container: none of ours, for agents live inside.
  const marks = peer.pid === 0 ? 'none' : marksInLineage(peer.pid, (found) => found.project === project);
  if (marks === 'gone') throw goneError(does);
  if (marks !== 'none') {
    const { taskId } = marks;
    const agent = taskId === undefined ? 'an agent' : `the agent of ${taskId}`;
    throw new AiwgdError('CONFLICT', `${rule}; this call came from ${agent}.`, {
      data: { taskId: taskId ?? null },
    });
  }
  return { by: `${userText(peer.uid)} over the socket` };
}

function goneError(does: string): AiwgdError {
  return new AiwgdError(
    'CONFLICT',
    `Who ${does} has to stay until the answer is taken; this caller has gone, so nobody knows who it was.`,
  );
}

/** `uid 1000 (alice)`; the name where it is known without asking a directory service. */
function userText(uid: number | undefined): string {
  if (uid === undefined) return "the daemon's user";
  if (uid === 0) return 'uid 0 (root)';
  if (uid !== process.getuid?.()) return `uid ${uid}`;
  try {
    return `uid ${uid} (${userInfo().username})`;
  } catch {
    // A user without an entry, as in many containers.
    return `uid ${uid}`;
  }
}
