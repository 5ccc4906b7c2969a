import type { Clock } from '../../platform/clock.js';
import type { Config } from '../../protocol/config/config-schema.js';
import type { CheckResult } from '../../protocol/doctor-report.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';

export type { CheckResult };

export interface DoctorContext {
  paths: ProjectPaths;
  /** The file that the daemon reads, which need not be the project's own. */
  configFile: string;
  /** The configuration in force. */
  config: Config;
  /** The daemon's own environment. */
  environment: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  /** Aborted when nobody waits for the result any more. */
  signal?: AbortSignal;
}

/** Looks at one thing, or at several of one kind. */
export type Check = (context: DoctorContext) => CheckResult[] | Promise<CheckResult[]>;
