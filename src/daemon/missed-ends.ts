import type { EndedTask, StoredTask, TaskStore } from '../tasks/task-store.js';

const PAGE = 1_000;

export interface MissedEndsOptions {
  store: Pick<TaskStore, 'endedSince' | 'get'>;
  /** What the rules know of ends. */
  ends: { knownUntil: number | undefined; isMissing: (end: EndedTask) => boolean };
  /** Tells the end of the task; the rules have taken it in when this returns. */
  tell: (task: StoredTask) => void;
}

/**
 * Tells the rules the ends that they have missed: of tasks whose outcome a daemon stored and then was killed, or that ended
 * while it stopped. Throws the error of a store that does not answer.
 */
export async function tellMissedEnds({ store, ends, tell }: MissedEndsOptions): Promise<void> {
  let from: { at: number; id?: string } | undefined =
    ends.knownUntil === undefined ? undefined : { at: ends.knownUntil };
  while (from !== undefined) {
    const page: EndedTask[] = await store.endedSince(from, PAGE);
    for (const end of page.filter((one) => ends.isMissing(one))) {
      const task = await store.get(end.id);
      if (task !== undefined) tell(task);
    }
    from = page.length < PAGE ? undefined : page.at(-1);
  }
}
