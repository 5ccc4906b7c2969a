import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkAgents } from '#aiwgd/daemon/doctor/agents-check.js';
import type { CheckResult } from '#aiwgd/daemon/doctor/check.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { tempFolder } from '../support/temp.js';

const PROVIDERS = ['claude', 'codex', 'gemini', 'opencode'] as const;

/** What the doctor says of agents of all providers, behind which is one script; and what that was asked. */
async function examine(script: string): Promise<{ said: Map<string, CheckResult>; asked: Set<string> }> {
  const root = tempFolder();
  const log = join(root, 'asked');
  writeFileSync(join(root, 'agent'), `#!/bin/sh\necho "$@" >> ${log}\n${script}\n`, { mode: 0o755 });
  const agents = Object.fromEntries(
    PROVIDERS.map((provider) => [provider, { provider, program: './agent' }]),
  );
  const twin = { twin: { provider: 'codex', program: './agent' } };
  const parsed = parseConfig(JSON.stringify({ agents: { ...agents, ...twin } }), 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const paths = projectPaths(root);
  const environment = { PATH: '/usr/bin:/bin', HOME: root };
  const context = { paths, configFile: paths.config, config: parsed.config, environment, clock: systemClock };
  const checks = await checkAgents(context);
  const asked = readFileSync(log, 'utf8').trim().split('\n');
  // Agents that share a program and a provider share the answers.
  expect(asked).toHaveLength(2 * PROVIDERS.length);
  return { said: new Map(checks.map((check) => [check.name, check])), asked: new Set(asked) };
}

test('every kind of agent is asked for its version, and for what the daemon uses', async () => {
  const { said, asked } = await examine(`echo 'v1 --json'; echo '--model' >&2`);
  expect(asked).toEqual(new Set(['--version', '--help', 'exec --help', 'run --help']));
  expect(said.get('agent codex')).toMatchObject({
    status: 'warning',
    detail: expect.stringMatching(
      /agent: v1 --json; its help does not have --skip-git-repo-check, .*, which the daemon uses/,
    ),
    remedy: expect.stringMatching(/agent exec --help$/),
  });
  expect(said.get('agent twin')).toMatchObject({ status: 'warning' });
  const missing = (name: string) => said.get(`agent ${name}`)?.detail ?? '';
  expect(missing('gemini')).toContain('does not have --output-format, stream-json, --resume');
  expect(missing('opencode')).toContain('does not have --format, raw JSON events, --session');
  expect(missing('claude')).toContain('--permission-mode');
});

test('one that has all of it is fine', async () => {
  const { said } = await examine(
    `echo '--json --skip-git-repo-check --model --ignore-user-config --ignore-rules resume'`,
  );
  expect(said.get('agent codex')).toMatchObject({ status: 'ok' });
  expect(said.get('agent gemini')).toMatchObject({ status: 'warning' });
});

test('agents that are there without being named are told of where their program is', async () => {
  const root = tempFolder();
  writeFileSync(join(root, 'gemini'), '#!/bin/sh\necho 0.1\n', { mode: 0o755 });
  const text = JSON.stringify({
    default_agent: 'sh',
    agents: { sh: { provider: 'command', command: ['sh'] } },
  });
  const parsed = parseConfig(text, 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const paths = projectPaths(root);
  const environment = { PATH: `${root}:/usr/bin:/bin`, HOME: root };
  const context = { paths, configFile: paths.config, config: parsed.config, environment, clock: systemClock };
  const checks = await checkAgents(context);
  expect(checks.map(({ name }) => name)).toEqual(['agent sh', 'agent gemini']);
  expect(checks[1]?.detail).toContain(': 0.1;');
});
