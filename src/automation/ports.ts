import type { AiwgEvent, NewEvent } from '../protocol/event.js';
import type { TaskState } from '../protocol/task.js';

/** Synchronous: whoever listens has taken the event in when it returns. */
export type Publish = (event: NewEvent) => AiwgEvent;

/** Told what a part cannot do, by the code of a health issue; undefined when it can again. */
export type OnFault = (code: string, error: Error | undefined) => void;

/** A task as an action hands it in. */
export interface ActionTask {
  prompt: string;
  agent: string | null;
  priority: number;
  timeoutMs?: number;
  source: 'rule' | 'schedule';
  ruleId: string | null;
  causedBy: string | null;
  metadata: Record<string, unknown>;
  /** The task is submitted once for ever under this name, also over a crash. */
  once: string;
  launch: {
    event: Record<string, unknown>;
    /** `${NAME}` in a value stands for a variable of the daemon. */
    env: Record<string, string>;
    /** Taken as they are. */
    literals: Record<string, string>;
    command?: string[];
    /** Somebody outside set it off. */
    outside?: boolean;
    /** Judges the agent's work. */
    verify?: { command: string[]; rounds: number };
  };
}

export interface TaskEnd {
  state: TaskState;
  result: string | null;
  error: string | null;
}

/** The queue, as far as actions need it. */
export interface TaskPort {
  submit(task: ActionTask): Promise<{ taskId: string }>;
  get(taskId: string): Promise<TaskEnd | undefined>;
  cancel(taskId: string): Promise<boolean>;
}

/** Where events go that a rule could not handle. */
export interface DeadLetterPort {
  add(letter: { event: AiwgEvent; subscriber: string; error: string; attempts: number }): void;
  /** Whether a letter of that subscriber for that event is kept. */
  has(subscriber: string, eventId: string): boolean;
}

/** An action that the daemon carries out itself, such as `doctor`. */
export type BuiltIn = (
  signal: AbortSignal,
) => Promise<{ ok: boolean; summary: string; report: string; data: unknown }>;

/** Runs the commands of conditions: short, with a time limit, and with nothing of them left afterwards. */
export interface CommandPort {
  run(question: {
    /** By which its processes are found, a UUID. */
    mark: string;
    command: readonly string[];
    env: Readonly<Record<string, string>>;
    stdin: string;
    timeoutMs: number;
    signal: AbortSignal;
  }): Promise<{ exitCode: number | null; timedOut: boolean; output: string }>;
  /** Ends what carries one of these marks, from a daemon that was killed. */
  endLeft(marks: readonly string[]): Promise<void>;
}
