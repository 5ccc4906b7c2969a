import { describe, expect, it } from 'vitest';
import { defaultConfigText } from '#aiwgd/protocol/config/default-config.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';

function warned(config: object | string): string[] {
  const parsed = parseConfig(typeof config === 'string' ? config : JSON.stringify(config), 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.warnings.map(({ path }) => path);
}

describe('what this version does not do yet', () => {
  it('is warned about where the file asks for it', () => {
    expect(
      warned({
        agents: {
          claude: { isolation: 'worktree', approvals: 'gate', stall_minutes: 5 },
        },
      }),
    ).toEqual(['agents.claude.isolation']);
  });

  it('is not in the default file, nor in what runs today', () => {
    expect(warned(defaultConfigText())).toEqual([]);
    expect(
      warned({
        agents: {
          sh: { provider: 'command', command: ['sh'] },
          claude: { model: 'x' },
          codex: { provider: 'codex' },
          gemini: { provider: 'gemini' },
          opencode: { provider: 'opencode' },
        },
      }),
    ).toEqual([]);
    expect(
      warned({
        webhook: { enabled: true, secret_env: 'SECRET' },
        rules: [
          { id: 'r', trigger: { type: 'event', topic: 'a.b' }, action: { type: 'notify', message: 'x' } },
        ],
      }),
    ).toEqual([]);
  });
});
