/** What every agent may set, with the keys of the configuration file. */
interface AgentCommon {
  /** Variables passed on beside the allow-list: names, or patterns such as `NAME_*`. */
  env_allow?: readonly string[] | undefined;
  /** Fixed variables; they win over everything but the marks of the attempt. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Attempts of this agent at once; no limit of its own where absent or null. */
  max_parallel?: number | null | undefined;
  /** Leaves alone what an attempt started in the background and did not end. */
  keep_background?: boolean | undefined;
  /** Minutes without progress after which an attempt is ended and resumed; never where absent or null. */
  stall_minutes?: number | null | undefined;
  /** `worktree`: every task, or conversation, works in a git worktree of its own. */
  isolation?: 'none' | 'worktree' | undefined;
  worktree?: WorktreeOptions | undefined;
  /** `gate`: what the agent may not do by itself, it asks a person for. */
  approvals?: 'off' | 'gate' | undefined;
  /** Name of the agent that takes over while a limit of this one's provider holds. */
  fallback?: string | null | undefined;
  /** Program and arguments that judge the work after the agent says it is done. */
  verify?: readonly string[] | null | undefined;
  verify_rounds?: number | undefined;
  /** Which settings hold for tasks from outside; `user` where absent. */
  outside_settings?: 'user' | 'all' | undefined;
  usd_per_million_tokens?: Prices | null | undefined;
}

export interface WorktreeOptions {
  submodules: boolean;
  untracked: 'none' | 'copy';
  /** Globs of further files to copy. */
  copy: readonly string[];
}

/** Dollars for a million tokens. */
export interface Prices {
  input: number;
  /** Null: as the others. */
  cached_input: number | null;
  output: number;
}

interface ProgramAgent extends AgentCommon {
  /** The provider's name where absent. */
  program?: string | undefined;
  /** Before our own. */
  args?: readonly string[] | undefined;
  model?: string | null | undefined;
}

export interface ClaudeAgentConfig extends ProgramAgent {
  provider: 'claude';
  permission_mode?: string | null | undefined;
  allowed_tools?: readonly string[] | undefined;
  disallowed_tools?: readonly string[] | undefined;
  append_prompt?: string | null | undefined;
  max_turns?: number | null | undefined;
}

export interface CodexAgentConfig extends ProgramAgent {
  provider: 'codex';
}

export interface GeminiAgentConfig extends ProgramAgent {
  provider: 'gemini';
}

export interface OpencodeAgentConfig extends ProgramAgent {
  provider: 'opencode';
}

export interface CommandAgentConfig extends AgentCommon {
  provider: 'command';
  /** Program and arguments. */
  command: readonly string[];
  /** How the prompt gets there; `stdin` where absent. */
  prompt?: 'stdin' | 'argument' | undefined;
  /** What stdout holds; `text` where absent. */
  output?: 'text' | 'jsonl' | undefined;
}

export type AgentConfig =
  | ClaudeAgentConfig
  | CodexAgentConfig
  | GeminiAgentConfig
  | OpencodeAgentConfig
  | CommandAgentConfig;

/** The agents of a project. `default_agent` names one of them. */
export interface AgentsConfig {
  default_agent: string;
  agents: Readonly<Record<string, AgentConfig>>;
}
