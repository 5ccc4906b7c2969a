import type { CallContext, Connection } from '../ipc/connection.js';
import { marksInLineage } from '../platform/process-lineage.js';

/** Who is at the other end of a connection does not change. */
const known = new WeakMap<Connection, { taskId: string | undefined }>();

/**
 * The task of this project whose agent makes the call, however it makes it: a client in a script of the agent, or a
 * command with an emptied environment, does not say so itself. What the call brings about is that task's doing, which
 * keeps rules from feeding themselves. Undefined for a person, for a process that has left its agent behind, and where
 * the system does not tell (Linux does).
 */
export function callingTask(
  { connection }: Pick<CallContext, 'connection'>,
  project: string,
): string | undefined {
  const before = known.get(connection);
  if (before !== undefined) return before.taskId;
  const { peer } = connection;
  const marks =
    peer === undefined || peer.pid === 0
      ? 'none'
      : marksInLineage(peer.pid, (found) => found.project === project && found.taskId !== undefined);
  const taskId = typeof marks === 'object' ? marks.taskId : undefined;
  known.set(connection, { taskId });
  return taskId;
}
