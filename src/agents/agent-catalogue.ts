import { PRESET_AGENTS } from '../protocol/config/preset-agents.js';
import type { AgentConfig, AgentsConfig } from './agent-config.js';
import type { AgentProvider } from './agent-provider.js';
import { claudeProvider } from './providers/claude.js';
import { codexProvider } from './providers/codex.js';
import { commandProvider } from './providers/command.js';
import { geminiProvider } from './providers/gemini.js';
import { opencodeProvider } from './providers/opencode.js';

/** An agent of the configuration, ready for use. */
export interface Agent {
  name: string;
  config: AgentConfig;
  provider: AgentProvider;
}

export interface ResolvedAgent {
  agent: Agent;
  /** Set where the name is none of the configuration's but one of a sub-agent of the default agent. */
  subAgent: string | null;
}

const SUB_AGENT = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/u;
const MAX_SUB_AGENTS = 1000;

/** What the names in `task.submit` mean. */
export class AgentCatalogue {
  readonly #agents = new Map<string, Agent>();
  readonly #defaultName: string;
  /** Names of sub-agents that were asked for: the queue knows them only by name. */
  readonly #subAgents = new Set<string>();

  constructor(config: AgentsConfig) {
    this.#defaultName = config.default_agent;
    for (const [name, agent] of Object.entries(config.agents)) {
      this.#agents.set(name, { name, config: agent, provider: providerOf(agent) });
    }
    for (const provider of PRESET_AGENTS) {
      if (this.#agents.has(provider)) continue;
      const preset: AgentConfig = { provider };
      this.#agents.set(provider, { name: provider, config: preset, provider: providerOf(preset) });
    }
  }

  /** An agent of the configuration, or one that is there without being named. */
  named(name: string): Agent | undefined {
    return this.#agents.get(name);
  }

  /** Null means the default agent. Undefined where the name means nothing. */
  resolve(name: string | null): ResolvedAgent | undefined {
    const agent = this.#agents.get(name ?? this.#defaultName);
    if (agent !== undefined) return { agent, subAgent: null };
    const fallback = this.#agents.get(this.#defaultName);
    if (name === null) return undefined;
    if (fallback?.config.provider !== 'claude' || !SUB_AGENT.test(name)) return undefined;
    this.#remember(name);
    return { agent: fallback, subAgent: name };
  }

  #remember(name: string): void {
    this.#subAgents.add(name);
    const [oldest] = this.#subAgents;
    if (this.#subAgents.size > MAX_SUB_AGENTS && oldest !== undefined) this.#subAgents.delete(oldest);
  }

  /** A sentence that names what could have been asked for. */
  describeUnknown(name: string | null): string {
    const known = [...this.#agents.keys()].join(', ');
    const asked = name ?? this.#defaultName;
    return `There is no agent named ${JSON.stringify(asked)}; there are: ${known}`;
  }

  /** All names under which tasks for an agent may stand in the queue. */
  queueNames(agent: Agent): (string | null)[] {
    return agent.name === this.#defaultName ? [null, agent.name, ...this.#subAgents] : [agent.name];
  }

  /** All that can be run. */
  all(): Iterable<Agent> {
    return this.#agents.values();
  }

  /**
   * An agent, and those that take over for it, one for the other; it ends before one that would come twice. Those are
   * passed over that may not carry out its tasks, or, where `outside` is set, no task from outside.
   */
  chain(agent: Agent, outside = false): [Agent, ...Agent[]] {
    const passed = new Set([agent]);
    for (let last = agent; ; ) {
      const next = this.#agents.get(last.config.fallback ?? '');
      if (next === undefined || passed.has(next)) break;
      passed.add(next);
      last = next;
    }
    const others = [...passed].slice(1).filter((one) => mayStandIn(one, agent, outside));
    return [agent, ...others];
  }
}

/** Whoever is to ask before it acts, is not stood in for by one that asks nobody. */
function mayStandIn({ config, provider }: Agent, asked: Agent, outside: boolean): boolean {
  const asks = asked.config.approvals !== 'gate' || config.approvals === 'gate';
  return asks && (!outside || provider.takesOutside);
}

/** How to handle the kind of program that is behind an agent. */
export function providerOf(config: AgentConfig): AgentProvider {
  switch (config.provider) {
    case 'claude':
      return claudeProvider(config);
    case 'command':
      return commandProvider(config);
    case 'codex':
      return codexProvider(config);
    case 'gemini':
      return geminiProvider(config);
    case 'opencode':
      return opencodeProvider(config);
    default:
      return config satisfies never;
  }
}
