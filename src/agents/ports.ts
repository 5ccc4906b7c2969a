import type { WorktreeOptions } from './agent-config.js';
import type { Answer, Question } from './agent-provider.js';

/** Folders of their own for tasks whose agent is isolated. */
export interface Workspaces {
  /**
   * Makes the workspace, or finds it where an earlier attempt or task of the conversation made it. Answers the folder in
   * which the agent works. Throws an `AiwgdError` (INVALID_PARAMS) where that can never be (no git repository, say), any
   * other error where the machine cannot now; what was begun is taken away again then.
   */
  prepare(request: {
    /** The task that the workspace belongs to: the task itself, or the first one of its conversation. */
    owner: string;
    /** The conversation of the task; null where it has none. */
    conversation: string | null;
    /** The task's folder, absolute; null for the project. */
    cwd: string | null;
    options: WorktreeOptions;
  }): Promise<{ folder: string; path: string }>;
}

/** A question of an attempt. */
export interface AttemptQuestion {
  taskId: string;
  attemptId: string;
  agent: string;
  ruleId: string | null;
  causedBy: string | null;
  /** The folder in which the agent works, absolute. */
  cwd: string;
  question: Question;
}

/** Takes questions of agents for permission to people. */
export interface QuestionPort {
  /**
   * Asks; a question of the same attempt and id that was asked before, by an earlier daemon say, is not asked twice.
   * `onAnswer` is called once with its answer, also where that was given long ago; a question that nobody answers in
   * time is answered with no. Rejects where it cannot be asked: the agent is told no, and why.
   */
  ask(asked: AttemptQuestion, onAnswer: (answer: Answer) => void): Promise<void>;
  /** Rules that a person allowed for the task with "always". */
  allowed(taskId: string): Promise<readonly string[]>;
  /** An earlier daemon's attempts are taken over: what others than these have asked needs no answer any more. */
  keepOnly(attempts: ReadonlySet<string>): void;
  /** The attempt is over: whatever it has asked needs no answer any more; or only what it has asked by `questionId`. */
  withdraw(attemptId: string, reason: string, questionId?: string): void;
}
