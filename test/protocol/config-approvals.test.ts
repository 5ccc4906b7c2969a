import { expect, it } from 'vitest';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';

function told(agent: object): { path: string; message: string }[] {
  const parsed = parseConfig(JSON.stringify({ agents: { one: agent } }), 'daemon.json');
  const found = parsed.ok ? parsed.warnings : parsed.problems;
  return found
    .filter(({ path }) => path.endsWith('approvals'))
    .map(({ path, message }) => ({ path, message: `${parsed.ok ? 'warning' : 'error'}: ${message}` }));
}

it('only agents of the provider claude can ask for permission', () => {
  expect(told({ provider: 'claude', approvals: 'gate' })).toEqual([]);
  expect(told({ approvals: 'gate', permission_mode: 'acceptEdits' })).toEqual([]);
  expect(told({ provider: 'command', command: ['sh'], approvals: 'off' })).toEqual([]);
  for (const other of [
    { provider: 'command', command: ['sh'] },
    { provider: 'codex' },
    { provider: 'gemini' },
  ]) {
    expect(told({ ...other, approvals: 'gate' })).toEqual([
      {
        path: 'agents.one.approvals',
        message: expect.stringMatching(/^error: only agents of the provider claude/),
      },
    ]);
  }
});

it('an agent that may do everything has nothing to ask for, which is told', () => {
  expect(told({ approvals: 'gate', permission_mode: 'bypassPermissions' })).toEqual([
    { path: 'agents.one.approvals', message: expect.stringMatching(/^warning: asks for nothing/) },
  ]);
});
