import type { GateState } from '../protocol/automation.js';
import type { TaskState } from '../protocol/task.js';

/** Options of all commands, as parsed; each command has only its own and the first three. Times are in milliseconds. */
export interface CliOptions {
  project?: string;
  json?: boolean;
  /** False for `--no-color`. */
  color?: boolean;
  foreground?: boolean;
  config?: string;
  force?: boolean;
  timeout?: number;
  watch?: boolean;
  lines?: number;
  follow?: boolean;
  level?: string;
  since?: string;
  agent?: string;
  priority?: number;
  key?: string;
  delay?: number;
  retries?: number;
  cwd?: string;
  resume?: string;
  verify?: string[];
  verifyRounds?: number;
  wait?: boolean;
  /** Of a task, or of a gate: each command takes its own. */
  state?: TaskState | GateState;
  limit?: number;
  cursor?: string;
  stderr?: boolean;
  attempt?: number;
  topic?: string;
  cause?: string;
  keep?: boolean;
  rule?: string;
  by?: string;
  history?: boolean;
  all?: boolean;
  always?: boolean;
  timezone?: string;
  from?: string;
  count?: number;
  /** RPC methods, by name. */
  allow?: string[];
  readOnly?: boolean;
  printConfig?: boolean;
  stat?: boolean;
  dryRun?: boolean;
}
