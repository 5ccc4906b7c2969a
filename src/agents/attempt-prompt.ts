import type { Claim, ConversationPast } from '../tasks/task-store.js';
import type { AgentProvider } from './agent-provider.js';
import { feedbackText, parseFeedback } from './verification.js';

/** What an attempt tells its agent, and in which session. */
export interface AttemptPrompt {
  prompt: string;
  /** Null to begin anew. */
  resume: string | null;
}

/** Takes the place of the prompt where the session knows it already. */
const GO_ON =
  'You were interrupted before you were done; the request at the beginning of this conversation still stands. ' +
  'Something you had begun may have been cut off halfway: look at how things are now before you go on, do not do again ' +
  'what is done already, and carry the request out to its end.\n';

/** The same where the request is not the session's first one, and may not have reached it. */
const GO_ON_WITH =
  'You were interrupted before you were done. Something you had begun may have been cut off halfway: look at how things are ' +
  'now before you go on, do not do again what is done already, and carry this request out to its end:\n\n';

/**
 * Puts together what the agent of a claim is told: a request in a session that does not know it yet; what is left of one
 * that it does know; and for agents without sessions, what was said before in the conversation.
 */
export function attemptPrompt(
  { task, past, feedback }: Pick<Claim, 'task' | 'past' | 'feedback'>,
  provider: Pick<AgentProvider, 'sessions' | 'isSession'>,
  request: string,
): AttemptPrompt {
  const known = (id: string | null | undefined): id is string =>
    provider.sessions && id !== null && id !== undefined && provider.isSession(id);
  const judged = feedback === null ? undefined : parseFeedback(feedback);
  if (known(task.sessionId)) {
    if (judged !== undefined) return { prompt: feedbackText(judged), resume: task.sessionId };
    return { prompt: past === null ? GO_ON : GO_ON_WITH + request, resume: task.sessionId };
  }
  const again = judged === undefined ? request : `${request}\n\n${feedbackText(judged)}`;
  if (past === null) return { prompt: again, resume: null };
  if (known(past.sessionId)) return { prompt: again, resume: past.sessionId };
  return { prompt: withHistory(past, again), resume: null };
}

function withHistory({ history }: ConversationPast, request: string): string {
  if (history.length === 0) return request;
  const said = history.map(({ prompt, result }) => `Request:\n${prompt}\n\nYour answer:\n${result}\n`);
  return `What was said earlier in this conversation:\n\n${said.join('\n')}\nThe request now:\n${request}`;
}
