import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { endNow, until } from '../support/temp.js';
import { CLI, Project, script } from './support.js';

/** Far from the numbers of which Node takes care itself. */
const NUMBER = 100;

/** Starts a daemon as a script does that holds a lock by `exec 100>lock; flock 100`. */
function startHolding(project: Project, ...args: string[]): ChildProcess {
  const lock = openSync(join(project.root, 'held'), 'w');
  const others = Array.from({ length: NUMBER - 1 }, () => 'ignore' as const);
  const child = spawn(process.execPath, [CLI, 'start', ...args], {
    cwd: project.root,
    env: project.env,
    stdio: ['ignore', ...others, lock],
  });
  closeSync(lock);
  onTestFinished(() => endNow(child.pid!));
  return child;
}

/** The files that a process has open. */
function filesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

async function holders(project: Project): Promise<{ daemon: boolean; agents: boolean }> {
  await until('it answers', async () => (await project.run(['ping'])).code === 0);
  await project.ok(['task', 'submit', 'x']);
  await until('the agent works', () => project.agents().length >= 2);
  const held = join(project.root, 'held');
  return {
    daemon: filesOf(project.daemon().pid).includes(held),
    agents: project.agents().some((pid) => filesOf(pid).includes(held)),
  };
}

describe.runIf(process.platform === 'linux')('a file that whoever starts the daemon has open', () => {
  const config = { default_agent: 'sh', agents: { sh: script('sleep 1000') } };

  it('is held neither by the daemon nor by its agents', async () => {
    const project = new Project({ config });
    const starting = startHolding(project);
    expect(filesOf(starting.pid!)).toContain(join(project.root, 'held'));
    await new Promise((resolve) => starting.once('exit', resolve));
    expect(await holders(project)).toEqual({ daemon: false, agents: false });
  });

  it('is held by a daemon in the foreground, but not by its agents, which outlive it', async () => {
    const project = new Project({ config });
    startHolding(project, '--foreground');
    expect(await holders(project)).toEqual({ daemon: true, agents: false });
  });
});
