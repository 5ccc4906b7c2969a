export const TASK_STATES = ['queued', 'running', 'completed', 'failed', 'cancelled', 'timeout'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** States that a task never leaves by itself. */
export const FINAL_STATES = [
  'completed',
  'failed',
  'cancelled',
  'timeout',
] as const satisfies readonly TaskState[];
export type FinalState = (typeof FINAL_STATES)[number];

export function isFinal(state: TaskState): state is FinalState {
  return state !== 'queued' && state !== 'running';
}

export const TASK_SOURCES = ['cli', 'rpc', 'rule', 'schedule', 'chat', 'messaging'] as const;
export type TaskSource = (typeof TASK_SOURCES)[number];

/** Why a queued task does not run yet; null when it only waits for a slot. */
export const WAIT_REASONS = ['delay', 'retry', 'gate', 'budget', 'rate_limit'] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];

/** How often an agent may mend work that a check did not accept, where nothing else is said. */
export const DEFAULT_VERIFY_ROUNDS = 2;

/** Tokens as the agent's own program counted them; whatever it reported is kept. */
export type Usage = Record<string, unknown>;

/** Tokens in the terms that all agents share; `cachedInput` is part of `input`. */
export interface TokenCounts {
  input: number;
  cachedInput: number;
  output: number;
}

/** What a running agent is doing, as far as it tells. */
export interface TaskProgress {
  /** Answers of the model so far. */
  turns: number;
  /** The tool that is at work, with what it is at in a few words; null between tools. */
  tool: string | null;
  /** The end of what the agent has said last, at most 2,000 characters. */
  text: string;
  tokens: TokenCounts | null;
  /** Of this attempt so far; null where the agent does not tell before its end. */
  costUsd: number | null;
}

/** A task as clients see it. Times are ISO 8601 in UTC. */
export interface Task {
  /** `task-0001`: at least four digits, counted up for ever. */
  id: string;
  prompt: string;
  /** Name of the agent that carries it out; null for the default agent of the configuration. */
  agent: string | null;
  /** Higher runs first. */
  priority: number;
  state: TaskState;
  createdAt: string;
  /** Start of the newest attempt. */
  startedAt: string | null;
  completedAt: string | null;
  /** The agent process of a running attempt. */
  pid: number | null;
  /** The agent's final text, at most 1 MiB of it. */
  result: string | null;
  error: string | null;
  /** The last 64 KiB of the newest attempt's stdout; null in lists, where `task.output` has it. */
  output: string | null;
  /** Bytes that the newest attempt has written to stdout. */
  outputBytes: number;
  metadata: Record<string, unknown>;
  /** Attempts begun so far. */
  attempt: number;
  maxAttempts: number;
  timeoutMs: number | null;
  /** When a waiting task becomes ready. */
  runAt: string | null;
  waitReason: WaitReason | null;
  key: string | null;
  /** Folder of the agent, absolute; null for the project's root. */
  cwd: string | null;
  exitCode: number | null;
  signal: string | null;
  /** The agent's own session, by which it can be resumed. */
  sessionId: string | null;
  /** Sum of its attempts whose cost is known, since it was submitted or retried; null where none is. */
  costUsd: number | null;
  usage: Usage | null;
  source: TaskSource;
  ruleId: string | null;
  /** Id of the event or task that brought this task about. */
  causedBy: string | null;
  /** True where somebody outside set it off (a webhook, a message), or an earlier task of its conversation. */
  outside: boolean;
  /** Name of the conversation it belongs to: its tasks go on in one session of the agent, one at a time. */
  conversation: string | null;
  /** Of a running task; null otherwise, and for agents that do not tell. */
  progress: TaskProgress | null;
}

export type TaskCounts = Record<TaskState, number> & { total: number };
