import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { HISTORY_TASKS, historyOf } from '../conversation-texts.js';
import { taskIdOf } from '../task-id.js';
import type { ConversationPast } from '../task-store.js';

/**
 * The order of tasks in one conversation. Of its queued tasks all but one at most have `follows` set: the first one,
 * which may be claimed where none runs. Part of the engine: synchronous, within its transactions.
 */
export class Conversations {
  readonly #do: ReturnType<typeof prepareConversations>;

  constructor(db: DatabaseSyncInstance) {
    this.#do = prepareConversations(db);
  }

  /** Touches both ends of every index. */
  probe(): void {
    this.#do.root.get('');
    this.#do.newestSession.get('');
  }

  /** Makes a task that belongs to no conversation one of this. */
  enter(seq: number, conversation: string): void {
    this.takeTurnBack(conversation);
    const { root } = (this.#do.root.get(conversation) as { root: number } | undefined) ?? { root: seq };
    this.#do.enter.run({ seq, conversation, root });
    this.passTurn(conversation);
  }

  /** To be called after a task of the conversation ended or went back to the queue. */
  passTurn(conversation: string): void {
    this.#do.passTurn.run(conversation);
  }

  /** To be called before an earlier task than those that wait may come into the queue. */
  takeTurnBack(conversation: string): void {
    this.#do.takeTurnBack.run(conversation);
  }

  forgetSession(conversation: string, sessionId: string): void {
    this.#do.forgetSession.run(conversation, sessionId);
  }

  past(conversation: string, root: number): ConversationPast {
    const newest = this.#do.newestSession.get(conversation) as { session_id: string } | undefined;
    const completed = this.#do.completed.all(conversation, HISTORY_TASKS);
    return {
      root: taskIdOf(root),
      sessionId: newest?.session_id ?? null,
      history: historyOf(completed as { prompt: string; result: string | null }[]),
    };
  }
}

const FIRST_QUEUED = `
  SELECT min(seq) FROM tasks INDEXED BY tasks_conversing WHERE conversation = ?1 AND state = 'queued'`;

function prepareConversations(db: DatabaseSyncInstance) {
  return {
    root: db.prepare('SELECT root FROM tasks INDEXED BY tasks_conversing WHERE conversation = ? LIMIT 1'),
    enter: db.prepare(`
      UPDATE tasks SET conversation = :conversation, root = :root, follows = (state = 'queued'), outside = outside OR EXISTS (
        SELECT 1 FROM tasks INDEXED BY tasks_outside WHERE conversation = :conversation AND outside = 1)
      WHERE seq = :seq`),
    passTurn: db.prepare(`
      UPDATE tasks SET follows = 0 WHERE seq = (${FIRST_QUEUED}) AND follows = 1 AND NOT EXISTS (
        SELECT 1 FROM tasks INDEXED BY tasks_conversing WHERE conversation = ?1 AND state = 'running')`),
    takeTurnBack: db.prepare(`UPDATE tasks SET follows = 1 WHERE seq = (${FIRST_QUEUED}) AND follows = 0`),
    forgetSession: db.prepare(`
      UPDATE tasks INDEXED BY tasks_sessions SET session_id = NULL WHERE conversation = ? AND session_id = ?`),
    newestSession: db.prepare(`
      SELECT session_id FROM tasks INDEXED BY tasks_sessions WHERE conversation = ? AND session_id IS NOT NULL
      ORDER BY seq DESC LIMIT 1`),
    completed: db.prepare(`
      SELECT prompt, result FROM tasks INDEXED BY tasks_conversing JOIN task_inputs USING (seq)
      WHERE conversation = ? AND state = 'completed' ORDER BY seq DESC LIMIT ?`),
  };
}
