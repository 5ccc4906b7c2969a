import { z } from 'zod';
import type { MethodTypes } from '../method-types.js';
import { agentName, argv, filled, fixedEnv, minutes, text, topicGlob } from './keys.js';

const common = {
  env: fixedEnv
    .default({})
    .describe('Variables with fixed values for the agent. Never secrets: name those in `env_allow`.'),
  env_allow: z
    .array(
      z
        .string()
        .regex(
          /^[A-Za-z_][A-Za-z0-9_]*\*?$/,
          'must be the name of an environment variable; it may end with *',
        ),
    )
    .default([])
    .describe("Further variables of the daemon's environment that the agent sees."),
  isolation: z
    .enum(['none', 'worktree'])
    .default('none')
    .describe('`worktree`: every task gets a git worktree of its own, on branch `aiwg/<task id>`.'),
  approvals: z
    .enum(['off', 'gate'])
    .default('off')
    .describe("`gate`: the agent's questions for permission become gates that a person answers."),
  max_parallel: z
    .int()
    .min(1)
    .max(1_000)
    .nullable()
    .default(null)
    .describe('Tasks of this agent at the same time; null: no bound of its own.'),
  stall_minutes: minutes
    .nullable()
    .default(null)
    .describe('End an attempt that has written nothing for this long; null: never.'),
  keep_background: z.boolean().default(false).describe('Leave processes alone that an attempt left running.'),
};

function programAgent(provider: string) {
  return {
    program: filled
      .default(provider)
      .describe('The program: a name to look up on PATH, or with a slash a path relative to the project.'),
    args: z.array(text).default([]).describe("Arguments before the daemon's own."),
    model: filled.nullable().default(null).describe("Model to use; null: the program's own choice."),
    ...common,
  };
}

const PROVIDER = 'The program behind the agent.';

const claude = z
  .strictObject({
    provider: z.literal('claude').optional().meta({ description: PROVIDER, default: 'claude' }),
    ...programAgent('claude'),
  })
  .transform((agent) => ({ ...agent, provider: 'claude' as const }));
const codex = z.strictObject({ provider: z.literal('codex').describe(PROVIDER), ...programAgent('codex') });
const gemini = z.strictObject({
  provider: z.literal('gemini').describe(PROVIDER),
  ...programAgent('gemini'),
});
const opencode = z.strictObject({
  provider: z.literal('opencode').describe(PROVIDER),
  ...programAgent('opencode'),
});
const command = z.strictObject({
  provider: z.literal('command').describe(PROVIDER),
  command: argv,
  prompt: z
    .enum(['stdin', 'argument'])
    .default('stdin')
    .describe('How the program gets the prompt; `argument` appends it after `--`.'),
  output: z
    .enum(['text', 'jsonl'])
    .default('text')
    .describe('`text`: stdout is the result; `jsonl`: one JSON object a line.'),
  ...common,
});

export const agentSchema = z.discriminatedUnion('provider', [claude, codex, gemini, opencode, command]);

/** Section `agents`: who carries out tasks, by name. */
export const agentsSchema = z
  .record(agentName, agentSchema)
  .default({})
  .describe('Who carries out tasks, by name. `claude` is there without being named.');

const platform = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether the platform is connected when its token is set.'),
    topics: z
      .array(topicGlob)
      .max(64)
      .nullable()
      .default(null)
      .describe('Topics that are reported; null: warnings and worse, ends of tasks, gates.'),
  })
  .prefault({});

/** Section `messaging`: chat platforms. Tokens come from the environment. */
export const messagingSchema = z
  .strictObject({
    slack: platform.describe('Slack.'),
    discord: platform.describe('Discord.'),
    telegram: platform.describe('Telegram.'),
  })
  .prefault({})
  .describe('Chat platforms. Their tokens come from the environment.');

/**
 * Every RPC method, and whether an MCP client may call it where the file does not say: reads, submit and cancel.
 * Whoever adds a method decides it here. (The method table itself would cost every reader of a configuration 15 ms.)
 */
const MCP_METHODS: Record<keyof MethodTypes, boolean> = {
  ping: true,
  'rpc.discover': false,
  'daemon.status': true,
  'daemon.reload': false,
  'daemon.stop': false,
  'task.submit': true,
  'task.cancel': true,
  'task.retry': false,
  'task.list': true,
  'task.page': true,
  'task.get': true,
  'task.stats': true,
  'task.output': true,
  'event.emit': false,
  'event.history': true,
  'event.dead.list': true,
  'event.dead.retry': false,
  'event.dead.drop': false,
  subscribe: false,
  unsubscribe: false,
};
const METHOD_NAMES = Object.keys(MCP_METHODS) as (keyof MethodTypes)[];

/** Section `mcp`: what agents may call over the Model Context Protocol. */
export const mcpSchema = z
  .strictObject({
    allow: z
      .array(z.enum(METHOD_NAMES))
      .default(METHOD_NAMES.filter((name) => MCP_METHODS[name]))
      .describe('RPC methods that an MCP client may call.'),
  })
  .prefault({})
  .describe('The Model Context Protocol server.');
