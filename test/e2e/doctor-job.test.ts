import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { identityOf } from '#aiwgd/platform/process-identity.js';
import { endNow, until } from '../support/temp.js';
import { Project } from './support.js';

/** A project whose agents hang when they are asked for their version, in the middle of its job `doctor`. */
async function inTheMiddle(): Promise<{ p: Project; pids: () => number[] }> {
  const p = new Project({
    config: {
      watch: { enabled: false },
      agents: {
        claude: { provider: 'claude', program: './hangs' },
        other: { provider: 'claude', program: './hangs-too' },
      },
      schedule: { jobs: [{ id: 'look', cron: '0 0 1 1 *', action: 'doctor' }] },
    },
  });
  const pidFile = join(p.root, 'pids');
  const hang = `#!/bin/sh\ntrap '' TERM INT\nsleep 1000 & echo $$ $! >> ${pidFile}\nwhile :; do sleep 1000; done\n`;
  for (const name of ['hangs', 'hangs-too']) writeFileSync(join(p.root, name), hang, { mode: 0o755 });
  const pids = (): number[] =>
    existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim().split(/\s+/).map(Number) : [];
  onTestFinished(() => pids().forEach(endNow));
  await p.start();
  await p.ok(['schedule', 'run', 'look']);
  await until('the first program hangs', () => pids().length === 2);
  return { p, pids };
}

it('leaves nothing of what it asked behind a stop, which does not wait for an answer', async () => {
  const { p, pids } = await inTheMiddle();
  const begin = Date.now();
  await p.ok(['stop']);
  expect(Date.now() - begin).toBeLessThan(4_000);
  expect(pids().filter((pid) => identityOf(pid) !== undefined)).toEqual([]);
  expect(pids()).toHaveLength(2);
});

it('leaves nothing of what it asked behind a kill either, once it runs again', async () => {
  const { p, pids } = await inTheMiddle();
  const before = pids();
  await p.kill();
  await p.start();
  await until('those of the first are gone', () => before.every((pid) => identityOf(pid) === undefined));
});

it('tells of each agent by hand, and what can be done about it', async () => {
  const agents = {
    claude: { program: './claude' },
    gone: { provider: 'codex', program: './no-such-program' },
  };
  const p = new Project({ config: { watch: { enabled: false }, agents } });
  writeFileSync(join(p.root, 'claude'), '#!/bin/sh\necho "2.1.330 (Claude Code)"\n', { mode: 0o755 });
  await p.start();
  const { stdout, code } = await p.run(['doctor']);
  expect(stdout).toMatch(/agent claude .*2\.1\.330/);
  expect(stdout).toMatch(/warning  agent gone .*no-such-program does not exist/);
  const report = await p.run(['doctor', '--json']);
  expect(JSON.parse(report.stdout)).toMatchObject({ ok: code === 0, checks: expect.any(Array) });
});

it('is broken off by a stop when it was asked by hand', async () => {
  const { p, pids } = await inTheMiddle();
  const asked = p.run(['doctor']);
  await until('it hangs for both', () => pids().length >= 2);
  await p.ok(['stop']);
  expect((await asked).code).not.toBe(0);
  expect(pids().filter((pid) => identityOf(pid) !== undefined)).toEqual([]);
});
