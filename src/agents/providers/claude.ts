import { AiwgdError } from '../../protocol/errors.js';
import type { ClaudeAgentConfig } from '../agent-config.js';
import type { AgentProvider, LaunchInput } from '../agent-provider.js';
import { ClaudeParser } from './claude-parser.js';
import { answerLine, isRule } from './claude-questions.js';
import { UUID } from './uuid.js';

/** The message waits in a FIFO before the program reads it; on Linux one holds 1 MiB at most. */
const MAX_MESSAGE_BYTES = 1_000_000;

/**
 * Three retries take some 4 s, so that a hiccup of the API is no failure. Its own ten would keep it busy for three
 * minutes before it says that it is not let in.
 */
const MAX_RETRIES = '3';

/** A budget of nothing is none to the program. */
const LEAST_BUDGET_USD = 0.000_001;

/** Claude Code, headless: one JSON message a line on stdout. Measured with 2.1.330. */
export function claudeProvider(config: ClaudeAgentConfig): AgentProvider {
  const asks = config.approvals === 'gate';
  return {
    sessions: true,
    isSession: (id) => UUID.test(id),
    counts: 'usd',
    takesOutside: true,
    probe: { version: ['--version'], help: ['--help'], words: HELP_WORDS },
    envFamily: ['ANTHROPIC_*', 'CLAUDE_CODE_*', 'CLAUDE_CONFIG_DIR', 'IS_SANDBOX'],
    prepare: (input) => ({
      program: config.program ?? 'claude',
      args: [...(config.args ?? []), ...BASIC_ARGS, ...choices(config), ...demands(config, input)],
      env: {
        // A background task that never ends would keep it alive for ten minutes after its result.
        CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        CLAUDE_CODE_MAX_RETRIES: MAX_RETRIES,
        DISABLE_AUTOUPDATER: '1',
        // Set where the daemon was started from inside an agent; it would take itself for a nested one.
        CLAUDECODE: undefined,
      },
      stdin: asks ? userMessage(input.prompt) : input.prompt,
      staysOpen: asks,
    }),
    createParser: (context) => new ClaudeParser(context),
    answerLine,
  };
}

const BASIC_ARGS = ['-p', '--output-format', 'stream-json', '--verbose'];

/** All of ours that `--help` shows; `--max-turns` works without being there. */
const HELP_WORDS = [
  '--output-format',
  '--verbose',
  '--model',
  '--agent',
  '--resume',
  '--permission-mode',
  '--allowedTools',
  '--disallowedTools',
  '--append-system-prompt',
  '--max-budget-usd',
  '--setting-sources',
  '--strict-mcp-config',
  '--input-format',
  '--permission-prompt-tool',
];

/** What the configuration says. With `=`, because a value may look like a flag. */
function choices(config: ClaudeAgentConfig): string[] {
  const { permission_mode: mode, append_prompt: extra, max_turns: turns } = config;
  return [
    ...(config.model ? ['--model', config.model] : []),
    ...(mode ? [`--permission-mode=${mode}`] : []),
    ...(config.allowed_tools ?? []).map((rule) => `--allowedTools=${rule}`),
    ...(config.disallowed_tools ?? []).map((rule) => `--disallowedTools=${rule}`),
    ...(extra ? [`--append-system-prompt=${extra}`] : []),
    ...(turns ? [`--max-turns=${turns}`] : []),
    ...(config.approvals === 'gate' ? ASKING_ARGS : []),
  ];
}

/** Permission is asked for on stdout; choosing between answers is no matter of yes and no, so that it cannot be asked. */
const ASKING_ARGS = [
  '--input-format',
  'stream-json',
  '--permission-prompt-tool',
  'stdio',
  '--disallowedTools=AskUserQuestion',
];

/** What this attempt brings along. */
function demands(config: ClaudeAgentConfig, input: LaunchInput): string[] {
  const { subAgent, resume, maxBudgetUsd, outside, allowed } = input;
  const session = resume !== null && UUID.test(resume) ? resume : null;
  const confined = outside && config.outside_settings !== 'all';
  return [
    // One that the program would take for several would allow more than a person has seen.
    ...allowed.filter(isRule).map((rule) => `--allowedTools=${rule}`),
    ...(subAgent === null ? [] : ['--agent', subAgent]),
    // It is held against the cost of this run, also where the session had cost something before.
    ...(maxBudgetUsd === null
      ? []
      : [`--max-budget-usd=${Math.max(maxBudgetUsd, LEAST_BUDGET_USD).toFixed(6)}`]),
    ...(confined ? ['--setting-sources', 'user', '--strict-mcp-config'] : []),
    ...(session === null ? [] : ['--resume', session]),
  ];
}

/** The prompt as the first message on a stdin by which answers follow. */
function userMessage(prompt: string): string {
  const line = `${JSON.stringify({ type: 'user', message: { role: 'user', content: prompt } })}\n`;
  const bytes = Buffer.byteLength(line);
  if (bytes <= MAX_MESSAGE_BYTES) return line;
  throw new AiwgdError(
    'INVALID_PARAMS',
    `The prompt takes ${bytes} bytes; an agent with "approvals": "gate" is given ${MAX_MESSAGE_BYTES} at most: put long texts into a file and name it in the prompt`,
  );
}
