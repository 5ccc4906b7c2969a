import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { acquireLock } from '#aiwgd/daemon/lock.js';
import { findRunningDaemon } from '#aiwgd/ipc/running-daemon.js';
import { identityOf } from '#aiwgd/platform/process-identity.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { tempFolder } from '../support/temp.js';

function project() {
  const paths = projectPaths(tempFolder());
  mkdirSync(paths.daemon, { recursive: true });
  return paths;
}

const DEAD = { pid: 2 ** 22 + 5, startTime: '1', bootId: identityOf()?.bootId };

describe('the lock of a project', () => {
  it('is held by one, refuses the next by pid, and is free after the release', () => {
    const paths = project();
    const lock = acquireLock(paths);
    expect(findRunningDaemon(paths)).toEqual(identityOf());
    expect(() => acquireLock(paths)).toThrow(`Daemon is already running (PID: ${process.pid})`);
    lock.release();
    lock.release();
    expect(existsSync(paths.lock)).toBe(false);
    acquireLock(paths).release();
  });

  it.each([
    ['of a process that is gone', JSON.stringify(DEAD)],
    ['of a pid that names another process now', JSON.stringify({ ...identityOf(), startTime: '1' })],
    ['of another boot', JSON.stringify({ ...identityOf(), bootId: 'another' })],
    ['that is empty', ''],
    ['that is garbage', 'not a lock'],
    ['of the original program', '12345'],
  ])('takes over a lock %s', (_, content) => {
    const paths = project();
    writeFileSync(paths.lock, content);
    const lock = acquireLock(paths);
    expect(JSON.parse(readFileSync(paths.lock, 'utf8'))).toEqual({ ...identityOf(), project: paths.root });
    lock.release();
  });

  it('does not remove a lock that another process took meanwhile', () => {
    const paths = project();
    const lock = acquireLock(paths);
    const other = JSON.stringify({ ...DEAD, pid: 7 });
    writeFileSync(paths.lock, other);
    lock.release();
    expect(readFileSync(paths.lock, 'utf8')).toBe(other);
  });

  it('names what is wrong when it cannot be made', () => {
    const paths = projectPaths(tempFolder());
    expect(() => acquireLock(paths)).toThrow(/Cannot create the lock .*ENOENT/);
  });

  it('lets exactly one of many takers of a stale lock win', async () => {
    const paths = project();
    const module = new URL('../../dist/daemon/lock.js', import.meta.url).href;
    // Each taker waits until all are there, takes the lock, tells, and holds it until it is told to go.
    const script = `
      const { acquireLock } = await import(${JSON.stringify(module)});
      process.stdout.write('up\\n');
      await new Promise((resolve) => process.stdin.once('data', resolve));
      try { acquireLock(${JSON.stringify(paths)}); process.stdout.write('won\\n'); }
      catch (error) { process.stdout.write(error.code + '\\n'); }
      process.stdin.on('end', () => process.exit());`;
    for (let round = 0; round < 3; round += 1) {
      writeFileSync(paths.lock, JSON.stringify(DEAD));
      const takers = Array.from({ length: 8 }, () => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        let output = '';
        let wake = (): void => {};
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          wake();
        });
        const line = async (n: number): Promise<string> => {
          while (output.split('\n').length <= n) await new Promise<void>((resolve) => (wake = resolve));
          return output.split('\n')[n - 1] ?? '';
        };
        return { child, line };
      });
      await Promise.all(takers.map(({ line }) => line(1)));
      for (const { child } of takers) child.stdin.write('go');
      const outcomes = await Promise.all(takers.map(({ line }) => line(2)));
      for (const { child } of takers) child.stdin.end();
      await Promise.all(takers.map(({ child }) => new Promise((resolve) => child.once('exit', resolve))));
      expect(outcomes.toSorted()).toEqual([...Array.from({ length: 7 }, () => 'ALREADY_RUNNING'), 'won']);
    }
  });

  it('outlives no process: a lock left by kill -9 is taken over', () => {
    const paths = project();
    const module = new URL('../../dist/daemon/lock.js', import.meta.url).href;
    const script = `(await import(${JSON.stringify(module)})).acquireLock(${JSON.stringify(paths)}); process.kill(process.pid, 'SIGKILL');`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(signal).toBe('SIGKILL');
    expect(existsSync(paths.lock)).toBe(true);
    expect(findRunningDaemon(paths)).toBeUndefined();
    acquireLock(paths).release();
  });
});
