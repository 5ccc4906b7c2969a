import { ATTEMPT_MARK, PROJECT_MARK, TASK_MARK } from '../platform/attempt-marks.js';

/** Variables that every agent may see; `NAME_*` stands for all that begin so. */
const ALLOWED = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'TERM',
  'LANG',
  'LC_*',
  'TZ',
  'TMPDIR',
  'XDG_*',
  'SSH_AUTH_SOCK',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
];

export interface EnvironmentInput {
  /** Where allowed variables are taken from: the daemon's own environment. */
  base: Readonly<Record<string, string | undefined>>;
  /** Allowed beside the common list: the provider's family and the agent's `env_allow`. */
  allow: readonly string[];
  /** What the provider sets; `undefined` takes a variable away. */
  provider: Readonly<Record<string, string | undefined>>;
  /** The agent's fixed variables, and those of the task, which win over them. */
  fixed: Readonly<Record<string, string>>;
  /** Where the event lies that goes along with the task; null where none does. */
  eventFile: string | null;
  taskId: string;
  attemptId: string;
  projectRoot: string;
}

/**
 * The environment of an attempt: an allow-list, because an agent's tools see all of it. Later entries win: allowed
 * ones, then the provider's, then the fixed ones, then the marks by which its processes are found.
 */
export function agentEnvironment(input: EnvironmentInput): Record<string, string> {
  const allowed = matcher([...ALLOWED, ...input.allow]);
  // The marks stand first, so that a look into a process finds them early.
  const env: Record<string, string> = { [ATTEMPT_MARK]: '', [PROJECT_MARK]: '' };
  for (const [name, value] of Object.entries(input.base)) {
    if (value !== undefined && allowed(name)) env[name] = value;
  }
  for (const [name, value] of Object.entries(input.provider)) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  Object.assign(env, input.fixed);
  env[ATTEMPT_MARK] = input.attemptId;
  env[PROJECT_MARK] = input.projectRoot;
  env[TASK_MARK] = input.taskId;
  if (input.eventFile !== null) env['AIWG_EVENT_FILE'] = input.eventFile;
  return env;
}

function matcher(patterns: readonly string[]): (name: string) => boolean {
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')));
  const prefixes = patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1));
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}
