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
}

export interface ClaudeAgentConfig extends AgentCommon {
  provider: 'claude';
  /** `claude` where absent. */
  program?: string | undefined;
  args?: readonly string[] | undefined;
  model?: string | null | undefined;
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

/** Programs that a configuration may name, and that tasks are refused for: there is no provider for them. */
export interface UnsupportedAgentConfig extends AgentCommon {
  provider: 'codex' | 'gemini' | 'opencode';
}

export type AgentConfig = ClaudeAgentConfig | CommandAgentConfig | UnsupportedAgentConfig;

/** The agents of a project. `default_agent` names one of them. */
export interface AgentsConfig {
  default_agent: string;
  agents: Readonly<Record<string, AgentConfig>>;
}
