import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Project } from '../e2e/support.js';
import { FakeModels, type RealAgent, realAgentSuite, runDirectly, writeBelow } from './other-agents.js';

const models = (apiUrl: string) => ({
  model: 'fake-model',
  model_provider: 'fake',
  'model_providers.fake.name': 'fake',
  'model_providers.fake.base_url': `${apiUrl}/v1`,
  'model_providers.fake.env_key': 'OPENAI_API_KEY',
});

const toml = (settings: Record<string, string>): string[] =>
  Object.entries(settings).map(([key, value]) => `${key}=${JSON.stringify(value)}`);

const codex: RealAgent = {
  provider: 'codex',
  permission: ['--sandbox', 'danger-full-access'],
  setUp: (home, apiUrl) => {
    const once = 'model_providers.fake.request_max_retries=0\nmodel_providers.fake.stream_max_retries=0\n';
    writeBelow(home, '.codex/config.toml', `${toml(models(apiUrl)).join('\n')}\n${once}`);
    return { OPENAI_API_KEY: 'dummy' };
  },
  refusal: /refused the key \(401\).*OPENAI_API_KEY/,
};

realAgentSuite(codex);

describe('a repository that brings an MCP server along for the real codex', () => {
  it('has it run where the folder is trusted, but not for a task from outside', async () => {
    await using api = await FakeModels.start(['ok:fine', 'ok:fine']);
    const project = new Project();
    const server = `command = "sh"\nargs = ["-c", "touch ran; cat > /dev/null"]\nstartup_timeout_sec = 2\n`;
    writeBelow(project.root, '.codex/config.toml', `[mcp_servers.brought]\n${server}`);
    const trust = `\n[projects.${JSON.stringify(project.root)}]\ntrust_level = "trusted"\n`;
    const trusting: RealAgent = {
      ...codex,
      setUp: (home) => {
        writeBelow(home, '.codex/config.toml', trust);
        return { OPENAI_API_KEY: 'dummy' };
      },
    };
    // Told as arguments: the user's configuration is left out for the task from outside.
    const args = toml(models(api.url)).flatMap((setting) => ['-c', setting]);
    const ran = join(project.root, 'ran');

    const outside = await runDirectly(trusting, project, api.url, { outside: true, args });
    expect(outside).toMatchObject({ code: 0, stdout: expect.stringContaining('fine') });
    expect(existsSync(ran)).toBe(false);

    const inside = await runDirectly(trusting, project, api.url, { outside: false, args });
    expect(inside.code).toBe(0);
    expect(existsSync(ran)).toBe(true);
  });
});
