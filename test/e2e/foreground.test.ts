import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import { until } from '../support/temp.js';
import { CLI, Project, script } from './support.js';

const config = {
  daemon: { log: { level: 'debug' } },
  default_agent: 'sh',
  agents: { sh: script('cat') },
};

function inForeground(project: Project): ChildProcessByStdio<null, Readable, null> {
  const child = spawn(process.execPath, [CLI, 'start', '--foreground'], {
    cwd: project.root,
    env: project.env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

describe('a daemon in the foreground', () => {
  it('lives on when the reader of its stdout has gone, and leaves nothing behind at its stop', async () => {
    const project = new Project({ config });
    const child = inForeground(project);
    child.stdout.once('data', () => child.stdout.destroy());
    await until('it answers', async () => (await project.run(['ping'])).code === 0);
    const daemon = project.daemon();
    const client = await project.connect();
    for (let n = 0; n < 10; n += 1) await client.call('event.emit', { topic: 'a.b', payload: { n } });
    expect(isAlive(daemon)).toBe(true);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await project.ok(['stop']);
    expect(await ended).toBe(0);
    expect(existsSync(project.paths.lock)).toBe(false);
  });

  it('can be stopped while nobody reads its stdout', async () => {
    const project = new Project({ config });
    const child = inForeground(project);
    child.stdout.pause();
    await until('it answers', async () => (await project.run(['ping'])).code === 0);
    project.daemon();
    const client = await project.connect();
    // Far more lines than the pipe holds.
    const payload = {};
    await Promise.all(
      Array.from({ length: 8_000 }, () => client.call('event.emit', { topic: 'a.b', payload })),
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await project.ok(['stop']);
    expect(await ended).toBe(0);
  }, 15_000);
});
