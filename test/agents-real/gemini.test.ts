import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Project } from '../e2e/support.js';
import { FakeModels, type RealAgent, realAgentSuite, runDirectly, writeBelow } from './other-agents.js';

const login = { auth: { selectedType: 'gemini-api-key' } };

function geminiWith(security: object): RealAgent {
  return {
    provider: 'gemini',
    permission: ['--approval-mode', 'yolo'],
    setUp: (home, apiUrl) => {
      writeBelow(home, '.gemini/settings.json', { security });
      return { GEMINI_API_KEY: 'dummy', GOOGLE_GEMINI_BASE_URL: apiUrl };
    },
    refusal: /refused the key \(401\).*GEMINI_API_KEY/,
  };
}

realAgentSuite(geminiWith(login));

describe('a repository that brings an MCP server along for the real gemini', () => {
  const bring = (): { project: Project; ran: string } => {
    const project = new Project();
    const server = { command: 'sh', args: ['-c', 'touch ran; cat > /dev/null'], timeout: 2000 };
    writeBelow(project.root, '.gemini/settings.json', { mcpServers: { brought: server } });
    return { project, ran: join(project.root, 'ran') };
  };

  it('has it run, but not for a task from outside, which needs the user’s leave', async () => {
    await using api = await FakeModels.start(['ok:fine', 'ok:fine']);
    const { project, ran } = bring();
    const willing = geminiWith({ ...login, folderTrust: { enabled: false } });

    const outside = await runDirectly(willing, project, api.url, { outside: true });
    expect(outside).toMatchObject({ code: 0, stdout: expect.stringContaining('fine') });
    expect(existsSync(ran)).toBe(false);

    const inside = await runDirectly(geminiWith(login), project, api.url, { outside: false });
    expect(inside.code).toBe(0);
    expect(existsSync(ran)).toBe(true);
  });

  it('keeps a task from outside from running at all without that leave', async () => {
    await using api = await FakeModels.start([]);
    const { project, ran } = bring();
    const refused = await runDirectly(geminiWith(login), project, api.url, { outside: true });
    expect(refused).toMatchObject({ code: 55, stdout: '' });
    expect(existsSync(ran)).toBe(false);
    expect(await api.requests()).toEqual([]);
  });
});
