import { cutText } from './cut-text.js';
import { storedText } from './stored-text.js';
import type { ConversationPast } from './task-store.js';

const KIB = 1_024;
const FEEDBACK_BYTES = 16 * KIB;
const FEEDBACK_CUT = '\n[The rest was left out: it is longer than 16 KiB.]';
const HISTORY_BYTES = 256 * KIB;
/** So that one long text leaves room for the turns before it. */
const TEXT_BYTES = 64 * KIB;
const TEXT_CUT = '\n[The rest was left out.]';

/** Completed tasks that a conversation's history has at most. */
export const HISTORY_TASKS = 10;

/** Name of the conversation that is begun with a task which had none. */
export function conversationOfTask(id: string): string {
  return `task:${id}`;
}

/** What an attempt is told of the one before, as every store keeps it: at most 16 KiB, cut at a whole character. */
export function storedFeedback(feedback: string | null): string | null {
  return feedback === null ? null : cutText(storedText(feedback), FEEDBACK_BYTES, FEEDBACK_CUT);
}

/** The history of a conversation from its completed tasks, the newest first: as many as fit. The oldest is first in the answer. */
export function historyOf(
  newestFirst: readonly { prompt: string; result: string | null }[],
): ConversationPast['history'] {
  const turns: ConversationPast['history'] = [];
  let bytes = 0;
  for (const { prompt, result } of newestFirst.slice(0, HISTORY_TASKS)) {
    const turn = {
      prompt: cutText(prompt, TEXT_BYTES, TEXT_CUT),
      result: cutText(result ?? '', TEXT_BYTES, TEXT_CUT),
    };
    bytes += Buffer.byteLength(turn.prompt) + Buffer.byteLength(turn.result);
    if (bytes > HISTORY_BYTES) break;
    turns.unshift(turn);
  }
  return turns;
}
