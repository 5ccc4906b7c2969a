import type { Connection } from '../ipc/connection.js';

type Work<T> = () => Promise<T> | T;

/**
 * Answers that may be megabytes, one at a time for each connection, and only while its reader keeps up: a client that
 * asks for hundreds of lists and reads none of them costs the daemon one list.
 */
export function largeAnswers(): <T>(connection: Connection, work: Work<T>) => Promise<T> {
  const last = new WeakMap<Connection, Promise<unknown>>();
  return (connection, work) => {
    const answer = (last.get(connection) ?? Promise.resolve()).then(async () => {
      // The answer before has been handed out by now; it counts as waiting until it was read.
      await new Promise((resolve) => setImmediate(resolve));
      await connection.drained();
      return work();
    });
    last.set(
      connection,
      answer.catch(() => undefined),
    );
    return answer;
  };
}
