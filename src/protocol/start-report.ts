import type { ErrorCode } from './errors.js';

export interface ReadyReport {
  pid: number;
  socket: string;
  warnings: string[];
  /** Number of running tasks whose agents an earlier daemon left, and this one took over. */
  takenOver: number;
}

/** What a detached daemon tells the command that started it: one JSON line on file descriptor 3, then end of file. */
export type StartReport =
  | { ready: ReadyReport }
  | { error: { code: ErrorCode; message: string; data?: unknown } };

/** The file descriptor on which a detached daemon reports. */
export const START_REPORT_FD = 3;

export interface RunDaemonOptions {
  project: string;
  /** Another file than `.aiwg/daemon.json`. */
  configFile?: string | undefined;
  /** Stay on the terminal, and show the log there. */
  foreground: boolean;
  /**
   * Take over what an earlier daemon left running, end it as a stop does (within the configured grace where none is
   * given), and nothing else: no task is taken from the queue.
   */
  endAgents?: { graceMs?: number } | undefined;
  /** Told once: the daemon is ready, or the reason why it is not. */
  report: (report: StartReport) => void;
}

/** The module that runs a daemon in its own process: the detached one's entry and `start --foreground` load it. */
export interface DaemonModule {
  /** Runs until the daemon is asked to stop; resolves to the exit code and never rejects. */
  runDaemon: (options: RunDaemonOptions) => Promise<number>;
}
