import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTimeOf } from '#aiwgd/platform/process-identity.js';
import { MAIN, makeFolder, runCli } from './run-cli.js';

let root: string;
let remove: () => void;

beforeEach(() => {
  ({ root, remove } = makeFolder(false));
});
afterEach(() => remove());

it('shows order and recovery, loses nothing and leaves nothing', async () => {
  const { code, stdout, stderr } = await runCli(['demo'], { cwd: root, env: { TMPDIR: root } });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toContain('Killed the daemon with SIGKILL');
  expect(stdout.match(/task-0003 \| got the prompt/g)).toHaveLength(1);
  expect(stdout).toContain('All tasks completed, none was lost.');
  const ends = ['task-0001', 'task-0003', 'task-0002'].map((id) => stdout.indexOf(`${id} | done`));
  expect(ends).toEqual(ends.toSorted((a, b) => a - b));
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(readdirSync(root)).toEqual([]);
});

it('cleans up when it is interrupted', async () => {
  const child = spawn(process.execPath, [MAIN, 'demo'], {
    cwd: root,
    env: { ...process.env, TMPDIR: root },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  const pid = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const started = /PID: (\d+)/.exec(text)?.[1];
      if (started !== undefined && text.includes('task-0001 | ')) resolve(Number(started));
    });
    child.on('exit', () => reject(new Error(`the demo ended too early: ${text}`)));
  });
  const code = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  expect(await code).toBe(130);
  expect(startTimeOf(pid)).toBeUndefined();
  expect(readdirSync(root)).toEqual([]);
});
