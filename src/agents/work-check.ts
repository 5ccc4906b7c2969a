import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import { DEFAULT_VERIFY_ROUNDS, type TaskProgress } from '../protocol/task.js';
import type { Claim } from '../tasks/task-store.js';
import type { BegunAttempt } from './begin-attempt.js';
import type { ShortCommands } from './short-command.js';
import { type Feedback, parseFeedback, type Verification, verify } from './verification.js';

/**
 * What judges the work of an attempt; undefined where nothing does. The task's own goes first, then that of the agent
 * which the task names, then that of the one which stood in for it.
 */
export function verificationOf({ launch }: Claim, { agent, asked }: BegunAttempt): Verification | undefined {
  if (launch?.verify !== undefined) return launch.verify;
  const { config } = asked?.config.verify ? asked : agent;
  const { verify: command, verify_rounds: rounds = DEFAULT_VERIFY_ROUNDS } = config;
  return command ? { command, rounds } : undefined;
}

/** One judgement of finished work, which can be broken off. */
export class WorkCheck {
  readonly #commands: ShortCommands;
  readonly #verification: Verification;
  readonly #claim: Claim;
  readonly #begun: BegunAttempt;
  readonly #over = new AbortController();

  constructor(commands: ShortCommands, verification: Verification, claim: Claim, begun: BegunAttempt) {
    this.#commands = commands;
    this.#verification = verification;
    this.#claim = claim;
    this.#begun = begun;
  }

  /** What it runs, in words. */
  get command(): string {
    return this.#verification.command.join(' ');
  }

  abort(): void {
    this.#over.abort();
  }

  /** Undefined where the work is accepted. Never rejects. */
  async run(timeoutMs: number): Promise<Feedback | undefined | 'aborted'> {
    const { task, feedback } = this.#claim;
    const { attempt, agent, folder } = this.#begun;
    const earlier = feedback === null ? undefined : parseFeedback(feedback);
    try {
      return await verify(
        this.#commands,
        {
          verification: this.#verification,
          mark: markOf(attempt.id),
          taskId: task.id,
          folder,
          env: agent.config.env ?? {},
          allow: agent.config.env_allow ?? [],
          timeoutMs,
          signal: this.#over.signal,
        },
        (earlier?.round ?? 0) + 1,
      );
    } catch (error) {
      if (this.#over.signal.aborted) return 'aborted';
      throw error;
    }
  }
}

/** The mark of what judges the work of an attempt. */
export function markOf(attemptId: string): string {
  return `check-${attemptId}`;
}

/** Ends what a daemon has left that was killed in the middle of judging this attempt. Never rejects. */
export async function endLeftCheck(
  { commands, log }: { commands: ShortCommands; log: Log },
  attemptId: string,
): Promise<void> {
  try {
    await commands.endLeft([markOf(attemptId)]);
  } catch (error) {
    log.warn(
      { attemptId, error: messageOf(error) },
      'What an earlier daemon ran to judge work cannot be ended',
    );
  }
}

const MAX_TOOL_CHARACTERS = 200;

/** The same, with something of ours in the place of a tool. */
export function progressAt(progress: TaskProgress | null, tool: string): TaskProgress {
  const silent = { turns: 0, text: '', tokens: null, costUsd: null };
  return { ...silent, ...progress, tool: tool.slice(0, MAX_TOOL_CHARACTERS) };
}
