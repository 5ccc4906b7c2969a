import { historyOf } from '../tasks/conversation-texts.js';
import { taskIdOf } from '../tasks/task-id.js';
import type { ConversationPast } from '../tasks/task-store.js';
import type { Entry } from './memory-entry.js';

/** Makes an entry one of the conversation; of none where that is null. */
export function enter(all: readonly Entry[], entry: Entry, conversation: string | null): void {
  entry.task.conversation = conversation;
  if (conversation === null) return;
  const others = conversing(all, conversation).filter(({ seq }) => seq !== entry.seq);
  entry.root = others[0]?.root ?? entry.seq;
  entry.task.outside ||= others.some(({ task }) => task.outside);
}

/** Whether no other task of its conversation runs or comes first. */
export function hasTurn(all: readonly Entry[], { seq, task }: Entry): boolean {
  if (task.conversation === null) return true;
  return !conversing(all, task.conversation).some(
    (other) => other.task.state === 'running' || (other.task.state === 'queued' && other.seq < seq),
  );
}

/** Takes the session away from the entry, and from the others of its conversation. */
export function forgetSession(all: readonly Entry[], entry: Entry, sessionId: string): void {
  const { conversation } = entry.task;
  const others = conversation === null ? [] : conversing(all, conversation);
  for (const { task } of [entry, ...others]) if (task.sessionId === sessionId) task.sessionId = null;
}

export function pastOf(
  all: readonly Entry[],
  { seq, root, task: { conversation } }: Entry,
): ConversationPast | null {
  if (conversation === null) return null;
  const tasks = conversing(all, conversation).map(({ task }) => task);
  return {
    root: taskIdOf(root ?? seq),
    sessionId: tasks.findLast(({ sessionId }) => sessionId !== null)?.sessionId ?? null,
    history: historyOf(tasks.filter(({ state }) => state === 'completed').toReversed()),
  };
}

function conversing(all: readonly Entry[], conversation: string): Entry[] {
  return all.filter(({ task }) => task.conversation === conversation).toSorted((a, b) => a.seq - b.seq);
}
