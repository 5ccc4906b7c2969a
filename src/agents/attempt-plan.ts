import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { TaskProgress } from '../protocol/task.js';
import type { AgentConfig } from './agent-config.js';
import type { AgentProvider, OutputParser } from './agent-provider.js';
import type { AttemptTexts, StreamSizes } from './attempt-files.js';
import type { LaunchRequest } from './launcher.js';
import type { QuestionPort } from './ports.js';
import type { SurvivorScan } from './survivor-scan.js';

/** What an attempt is, whoever launched it. */
export interface AttemptPlan {
  taskId: string;
  attemptId: string;
  attempt: number;
  /** Folder of the attempt's files. */
  folder: string;
  parser: OutputParser;
  /** How the agent is told answers; only where its stdin stays open. */
  answerLine: AgentProvider['answerLine'];
  /** What its task came from, for those who answer its questions. */
  ruleId: string | null;
  causedBy: string | null;
  timeoutMs: number | null;
  stallMs: number | null;
  killGraceMs: number;
  keepBackground: boolean;
}

/** What it takes to launch one. */
export interface AttemptLaunch extends LaunchRequest, AttemptTexts {
  agentName: string;
  /** Without its variables. */
  agent: AgentConfig;
  reservedUsd: number | null;
}

export interface AttemptDeps {
  clock: Clock;
  log: Log;
  scan: SurvivorScan;
  /** Undefined where nobody can be asked. */
  questions: QuestionPort | undefined;
  /** At most four times a second while the output grows, and once more at the end. */
  onOutput: (sizes: StreamSizes) => void;
  /** What the agent is doing has changed; as often at most. */
  onProgress: (progress: TaskProgress) => void;
}
