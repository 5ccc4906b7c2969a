import { spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { Project, script } from './support.js';

const DAEMON = fileURLToPath(new URL('../../dist/daemon/main.js', import.meta.url));

/** Sends the signal to the daemon itself, once, in the very moment when it makes its lock. */
const SIGNAL_AT_LOCK = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const open = fs.openSync;
fs.openSync = (path, flags, ...rest) => {
  const file = open(path, flags, ...rest);
  if (flags === 'wx') process.kill(process.pid, 'SIGTERM');
  return file;
};
syncBuiltinESMExports();
`;

it('a daemon that is told to stop while it takes its lock leaves no lock', async () => {
  const project = new Project({ config: { default_agent: 'sh', agents: { sh: script('cat') } } });
  const preload = join(project.root, 'preload.mjs');
  writeFileSync(preload, SIGNAL_AT_LOCK);
  const child = spawn(process.execPath, ['--import', preload, DAEMON, '--project', project.root], {
    cwd: project.root,
    env: project.env,
    stdio: 'ignore',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
  expect(existsSync(project.paths.lock)).toBe(false);
  expect(existsSync(project.paths.pid)).toBe(false);
});

it('a start that is refused leaves nothing behind, however long the daemon takes to end', async () => {
  const project = new Project();
  writeFileSync(project.paths.config, '{"deamon": {}}');
  const preload = join(project.root, 'preload.mjs');
  writeFileSync(
    preload,
    `import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const remove = fs.rmSync;
    fs.rmSync = (path, options) => {
      // Holds its lock for a while longer.
      if (String(path).endsWith('.lock')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
      return remove(path, options);
    };
    syncBuiltinESMExports();`,
  );
  const { code } = await project.run(['start'], { env: { NODE_OPTIONS: `--import ${preload}` } });
  expect(code).toBe(1);
  expect(readdirSync(project.paths.daemon)).toEqual([]);
});
