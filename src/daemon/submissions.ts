import { randomUUID } from 'node:crypto';
import { COMMAND_AGENT } from '../agents/command-task.js';
import type { Submission } from '../agents/submission.js';
import { AiwgdError } from '../protocol/errors.js';
import type { ChatParams, SubmitParams } from '../protocol/method-types.js';
import { DEFAULT_VERIFY_ROUNDS } from '../protocol/task.js';
import type { StoredTask } from '../tasks/task-store.js';

/**
 * What a client asks for, as the supervisor takes it; `original` is the task whose conversation is to go on. Throws
 * INVALID_PARAMS where that one has none.
 */
export function submissionOf(
  {
    source = 'rpc',
    verify,
    verifyRounds: rounds = DEFAULT_VERIFY_ROUNDS,
    ...params
  }: Omit<SubmitParams, 'resume'>,
  original?: StoredTask,
): Submission {
  const submission: Submission = {
    ...params,
    source,
    ...(verify === undefined ? {} : { launch: { verify: { command: verify, rounds } } }),
  };
  if (original === undefined) return submission;
  const { id, agent, cwd } = original;
  if (agent === COMMAND_AGENT) {
    throw new AiwgdError(
      'INVALID_PARAMS',
      `${id} ran a command: there is no conversation to go on with. Submit a task of its own.`,
    );
  }
  if (params.agent !== undefined && params.agent !== agent) {
    throw new AiwgdError(
      'INVALID_PARAMS',
      `${id} belongs to ${agent === null ? 'the default agent' : `the agent ${agent}`}: no other agent can go on in its session. Leave the agent out.`,
    );
  }
  return { ...submission, agent, cwd: params.cwd ?? cwd, resumes: id };
}

/** What a caller names a conversation cannot meet those that continued tasks make for themselves. */
const CHAT = 'chat:';

/** A message as a task of its conversation, and the name by which the conversation goes on. */
export function chatSubmission({ message, conversation = randomUUID(), ...params }: ChatParams): {
  conversation: string;
  submission: Submission;
} {
  const submission: Submission = {
    source: 'chat',
    ...params,
    prompt: message,
    conversation: `${CHAT}${conversation}`,
  };
  return { conversation, submission };
}
