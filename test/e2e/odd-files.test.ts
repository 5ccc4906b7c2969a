import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Project, script } from './support.js';

const config = { default_agent: 'sh', agents: { sh: script('cat') } };

describe('start', () => {
  it('refuses a configuration that is a pipe, at once', async () => {
    const project = new Project();
    execFileSync('mkfifo', [project.paths.config]);
    const { code, stderr } = await project.run(['start']);
    expect(code).toBe(1);
    expect(stderr).toContain('is not a file');
  });

  it('a pipe in place of the configuration is a refused reload', async () => {
    const project = new Project({ config });
    await project.start();
    execFileSync('sh', ['-c', 'rm daemon.json && mkfifo daemon.json'], { cwd: project.paths.aiwg });
    expect((await project.run(['reload'])).stderr).toContain('is not a file');
    await project.ok(['ping']);
  });

  it('does not replace a link to a configuration that is not there', async () => {
    const project = new Project();
    symlinkSync('/nowhere/daemon.json', project.paths.config);
    const { code, stderr } = await project.run(['start']);
    expect(code).toBe(1);
    expect(stderr).toContain('There is no configuration file');
    expect(lstatSync(project.paths.config).isSymbolicLink()).toBe(true);
  });

  it.each(['actions', 'events'] as const)('names a file that lies in the place of %s/', async (folder) => {
    const project = new Project({ config });
    mkdirSync(project.paths.daemon);
    writeFileSync(project.paths[folder], '');
    const { code, stderr } = await project.run(['start']);
    expect(code).toBe(1);
    expect(stderr).toContain(`${project.paths[folder]} is not a folder; move it away`);
  });
});

it('what a kill left half written is gone after the next start', async () => {
  const project = new Project({ config });
  mkdirSync(project.paths.events, { recursive: true });
  const { daemon, events, pid, config: file } = project.paths;
  const left = [
    `${daemon}/tasks.db.tmp`,
    `${daemon}/state.json.tmp`,
    `${events}/dead-letters.json.tmp`,
  ].concat(`${pid}.tmp`, `${file}.tmp`);
  for (const path of left) writeFileSync(path, '{"half');
  await project.start();
  await project.ok(['stop']);
  expect(left.filter((path) => existsSync(path))).toEqual([]);
});

it('a lock that cannot be read is named without a stack', async () => {
  const project = new Project({ config });
  mkdirSync(project.paths.lock, { recursive: true });
  for (const command of ['status', 'stop', 'start']) {
    const { code, stderr } = await project.run([command]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^aiwgd: Cannot read the lock .*EISDIR.*\n$/);
  }
  rmdirSync(project.paths.lock);
});
