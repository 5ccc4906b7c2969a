import * as v from 'valibot';
import type { MethodTypes } from '../method-types.js';
import {
  about,
  literal,
  nullableSetting,
  object,
  oneOf,
  record,
  setting,
  variant,
  wholeNumber,
} from '../schema.js';
import { agentName, argv, dollars, filled, fixedEnv, minutes, text, topicGlob } from './keys.js';
import { verifyRounds } from './verify-keys.js';

const price = object({
  input: about(dollars, 'For a million tokens that the model reads.'),
  cached_input: nullableSetting(
    dollars,
    'For those of them that come from a cache; null: the price of the others.',
  ),
  output: about(dollars, 'For a million tokens that the model writes.'),
});

const worktree = object({
  submodules: setting(v.boolean(), true, 'Check submodules out too, from what the project has of them.'),
  untracked: setting(
    oneOf(['none', 'copy']),
    'none',
    '`copy`: files that git neither tracks nor ignores are copied into the worktree.',
  ),
  copy: setting(
    v.pipe(v.array(filled), v.maxLength(64)),
    [],
    'Globs of further files to copy, ignored ones such as `.env` among them.',
  ),
});

const common = {
  env: setting(
    fixedEnv,
    {},
    'Variables with fixed values for the agent. Never secrets: name those in `env_allow`.',
  ),
  env_allow: setting(
    v.array(
      v.pipe(
        v.string(),
        v.regex(
          /^[A-Za-z_][A-Za-z0-9_]*\*?$/,
          'must be the name of an environment variable; it may end with *',
        ),
      ),
    ),
    [],
    "Further variables of the daemon's environment that the agent sees.",
  ),
  isolation: setting(
    oneOf(['none', 'worktree']),
    'none',
    '`worktree`: every task gets a git worktree of its own, on branch `aiwg/<task id>`.',
  ),
  worktree: setting(worktree, {}, 'What a worktree gets beside the files of the commit.'),
  fallback: nullableSetting(
    agentName,
    'The agent that takes over while a limit of the provider holds; null: tasks wait.',
  ),
  verify: nullableSetting(
    argv,
    'Program and arguments that judge the work after the agent says it is done; null: nothing.',
  ),
  verify_rounds: verifyRounds,
  outside_settings: setting(
    oneOf(['user', 'all']),
    'user',
    "For tasks that come from outside (a webhook, a message): `user` leaves the repository's own settings, hooks and MCP servers out.",
  ),
  usd_per_million_tokens: nullableSetting(
    price,
    'Prices of an agent that counts tokens only, so that it has a cost; null: unknown.',
  ),
  approvals: setting(
    oneOf(['off', 'gate']),
    'off',
    "`gate`: the agent's questions for permission become gates that a person answers.",
  ),
  max_parallel: nullableSetting(
    wholeNumber(1, 1_000),
    'Tasks of this agent at the same time; null: no bound of its own.',
  ),
  stall_minutes: nullableSetting(
    minutes,
    'End an attempt that has shown no progress for this long, and let another go on with its task; null: never.',
  ),
  keep_background: setting(v.boolean(), false, 'Leave processes alone that an attempt left running.'),
};

const PROVIDER = 'The program behind the agent.';

function programAgent<const P extends string>(provider: P) {
  return {
    program: setting(
      filled,
      provider,
      'The program: a name to look up on PATH, or with a slash a path relative to the project.',
    ),
    args: setting(v.array(text), [], "Arguments before the daemon's own."),
    model: nullableSetting(filled, "Model to use; null: the program's own choice."),
    ...common,
  };
}

const tools = v.pipe(v.array(filled), v.maxLength(256));

const claude = object({
  provider: setting(literal('claude'), 'claude', PROVIDER),
  ...programAgent('claude'),
  permission_mode: nullableSetting(
    oneOf(['default', 'acceptEdits', 'plan', 'dontAsk', 'auto', 'bypassPermissions']),
    'What it may do without asking; null: as its own settings say.',
  ),
  allowed_tools: setting(tools, [], 'Tools that it may use without asking, such as `Bash(npm test:*)`.'),
  disallowed_tools: setting(tools, [], 'Tools that it may not use at all.'),
  append_prompt: nullableSetting(filled, "Added to the program's own system prompt."),
  max_turns: nullableSetting(
    wholeNumber(1, 100_000),
    'Answers of the model after which an attempt ends; null: no bound.',
  ),
});
const codex = object({ provider: about(literal('codex'), PROVIDER), ...programAgent('codex') });
const gemini = object({ provider: about(literal('gemini'), PROVIDER), ...programAgent('gemini') });
const opencode = object({ provider: about(literal('opencode'), PROVIDER), ...programAgent('opencode') });
const command = object({
  provider: about(literal('command'), PROVIDER),
  command: argv,
  prompt: setting(
    oneOf(['stdin', 'argument']),
    'stdin',
    'How the program gets the prompt; `argument` appends it after `--`.',
  ),
  output: setting(
    oneOf(['text', 'jsonl']),
    'text',
    '`text`: stdout is the result; `jsonl`: one JSON object a line.',
  ),
  ...common,
});

export const agentSchema = variant('provider', [claude, codex, gemini, opencode, command]);

/** Section `agents`: who carries out tasks, by name. */
export const agentsSchema = setting(
  record(agentName, agentSchema),
  {},
  'Who carries out tasks, by name. `claude`, `codex`, `gemini` and `opencode` are there without being named.',
);

const platform = object({
  enabled: setting(v.boolean(), true, 'Whether the platform is connected when its token is set.'),
  topics: nullableSetting(
    v.pipe(v.array(topicGlob), v.maxLength(64)),
    'Topics that are reported; null: warnings and worse, ends of tasks, gates.',
  ),
});

const messaging = object({
  slack: setting(platform, {}, 'Slack.'),
  discord: setting(platform, {}, 'Discord.'),
  telegram: setting(platform, {}, 'Telegram.'),
});

/** Section `messaging`: chat platforms. Tokens come from the environment. */
export const messagingSchema = setting(
  messaging,
  {},
  'Chat platforms. Their tokens come from the environment.',
);

/**
 * Every RPC method, and whether an MCP client may call it where the file does not say: reads, submit and cancel.
 * Whoever adds a method decides it here. (The method table itself would cost every reader of a configuration 2 ms more.)
 */
const MCP_METHODS: Record<keyof MethodTypes, boolean> = {
  ping: true,
  'rpc.discover': false,
  'daemon.status': true,
  'daemon.doctor': false,
  'daemon.reload': false,
  'daemon.stop': false,
  'task.submit': true,
  'chat.send': true,
  'task.cancel': true,
  'task.retry': false,
  'task.list': true,
  'task.page': true,
  'task.get': true,
  'task.stats': true,
  'task.output': true,
  'spend.report': true,
  'task.diff': true,
  'task.merge': false,
  'worktree.list': true,
  'worktree.prune': false,
  'event.emit': false,
  'event.history': true,
  'event.dead.list': true,
  'event.dead.retry': false,
  'event.dead.drop': false,
  'automation.status': true,
  'automation.enable': false,
  'automation.disable': false,
  'automation.test': true,
  'automation.trace': true,
  'schedule.list': true,
  'schedule.run': false,
  'gate.list': true,
  'gate.approve': false,
  'gate.reject': false,
  subscribe: false,
  unsubscribe: false,
};
const METHOD_NAMES = Object.keys(MCP_METHODS) as (keyof MethodTypes)[];

const mcp = object({
  allow: setting(
    v.array(oneOf(METHOD_NAMES)),
    METHOD_NAMES.filter((name) => MCP_METHODS[name]),
    'RPC methods that an MCP client may call.',
  ),
});

/** Section `mcp`: what agents may call over the Model Context Protocol. */
export const mcpSchema = setting(mcp, {}, 'The Model Context Protocol server.');
