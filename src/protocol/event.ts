/** The envelope of everything that happens. */
export interface AiwgEvent {
  /** Unique; sorts by time of making. */
  id: string;
  /** The topic: segments separated by `.` or `:`. */
  type: string;
  /** The subsystem, or `rpc` for an event that a client emitted. */
  source: string;
  /** ISO 8601, UTC. */
  timestamp: string;
  payload: Record<string, unknown>;
  /** Id of the task or event that brought this one about. */
  cause?: string;
}

/** What a subsystem hands in; the router adds id and timestamp. */
export interface NewEvent {
  type: string;
  source: string;
  payload: Record<string, unknown>;
  cause?: string;
}

/** An event that a subscriber could not handle, kept with its last error. */
export interface DeadLetter {
  id: string;
  event: AiwgEvent;
  subscriber: string;
  error: string;
  /** Times that delivery was tried. */
  attempts: number;
  at: string;
}

/** Topics of the daemon itself; rules and clients may add any other. */
export const TASK_TOPICS = [
  'task:queued',
  'task:started',
  'task:output',
  'task:progress',
  'task:completed',
  'task:failed',
  'task:timeout',
  'task:cancelled',
  'task:retrying',
] as const;
export type TaskTopic = (typeof TASK_TOPICS)[number];
