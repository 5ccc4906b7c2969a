import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OutputParser } from '#aiwgd/agents/agent-provider.js';
import { claudeProvider } from '#aiwgd/agents/providers/claude.js';
import type { SessionTotals } from '#aiwgd/tasks/task-store.js';

/** When the lines are read. */
export const NOW = Date.parse('2026-11-22T07:00:00Z');
export const provider = claudeProvider({ provider: 'claude', approvals: 'gate' });
/** Ended by SIGTERM, without a word. */
export const TERMINATED = { exitCode: 143, signal: null, stdoutTail: () => '', stderrTail: () => '' };

/** The lines of a capture. */
export function linesOf(name: string): Buffer[] {
  const path = join(import.meta.dirname, `../samples/claude-2.1.330-${name}.jsonl`);
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => Buffer.from(line));
}

/** A parser that has read these lines. */
export function parserOf(
  lines: readonly (object | Buffer)[],
  baseline: SessionTotals | null = null,
): OutputParser {
  const parser = provider.createParser({ baseline, now: () => NOW });
  for (const line of lines) parser.line(Buffer.isBuffer(line) ? line : Buffer.from(JSON.stringify(line)));
  return parser;
}

export const verdictOn = (lines: readonly (object | Buffer)[], baseline: SessionTotals | null = null) =>
  parserOf(lines, baseline).verdict(TERMINATED);

export const init = (version = '2.1.330') => ({
  type: 'system',
  subtype: 'init',
  session_id: 's',
  claude_code_version: version,
});
export const answer = (content: object[], more: object = {}) => ({
  type: 'assistant',
  message: { id: 'm', model: 'opus', content, usage: { input_tokens: 1 } },
  parent_tool_use_id: null,
  ...more,
});
export const toolResult = (id: string) => ({
  type: 'user',
  message: { content: [{ type: 'tool_result', tool_use_id: id }] },
});
export const models = (costUSD: number, inputTokens: number) => ({
  opus: { costUSD, inputTokens, outputTokens: 1 },
});
export const result = (total: unknown, more: object = {}) => ({
  type: 'result',
  is_error: false,
  result: 'r',
  session_id: 's',
  total_cost_usd: total,
  ...more,
});
export const retry = (attempt: number, delay: unknown, status: number | null = 429) => ({
  type: 'system',
  subtype: 'api_retry',
  attempt,
  retry_delay_ms: delay,
  error_status: status,
});
export const asking = (id: string, more: object = {}) => ({
  type: 'control_request',
  request_id: id,
  request: {
    subtype: 'can_use_tool',
    tool_name: 'Bash',
    input: { command: 'ls' },
    tool_use_id: `t-${id}`,
    ...more,
  },
});
