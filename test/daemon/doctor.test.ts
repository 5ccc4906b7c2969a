import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { claudeProvider } from '#aiwgd/agents/providers/claude.js';
import type { CheckResult, DoctorContext } from '#aiwgd/daemon/doctor/check.js';
import { runDoctor } from '#aiwgd/daemon/doctor/doctor.js';
import { judgeInotify } from '#aiwgd/daemon/doctor/inotify-check.js';
import { judgeDisk, judgeNode } from '#aiwgd/daemon/doctor/machine-checks.js';
import { programVersion } from '#aiwgd/daemon/doctor/program-version.js';
import { lockText } from '#aiwgd/ipc/running-daemon.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { identityOf } from '#aiwgd/platform/process-identity.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import { doctorLines } from '#aiwgd/protocol/doctor-report.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { endNow, tempFolder, until } from '../support/temp.js';

const CLAUDE_HELP = (claudeProvider({ provider: 'claude' }).probe?.words ?? []).join(' ');

/** A project whose daemon is this very process, with everything as it should be. */
class Patient {
  readonly root = tempFolder();
  readonly paths = projectPaths(this.root);
  readonly bin = join(this.root, 'bin');
  environment: Record<string, string | undefined> = {
    PATH: `${this.bin}:/usr/bin:/bin`,
    HOME: this.root,
    AIWG_TEST_TOKEN: 'never-to-be-seen',
  };
  text = '{}';

  constructor() {
    mkdirSync(this.paths.daemon, { recursive: true });
    mkdirSync(this.bin);
    writeFileSync(this.paths.lock, lockText(identityOf()!, this.paths));
    writeFileSync(this.paths.pid, `${process.pid}\n`);
    this.program('claude', `[ "$1" = --version ] && echo '2.1.0 (Claude Code)' || echo '${CLAUDE_HELP}'`);
    this.program('tmux', 'true');
  }

  program(name: string, script: string): string {
    const path = join(this.bin, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return path;
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => void socket.end()).listen(this.paths.socket);
    onTestFinished(() => void server.close());
    await until('the socket is there', () => server.listening);
  }

  context(change: Partial<DoctorContext> = {}): DoctorContext {
    writeFileSync(this.paths.config, this.text);
    const parsed = parseConfig(this.text, this.paths.config);
    const config = parsed.ok
      ? parsed.config
      : (parseConfig('{}', '') as { config: DoctorContext['config'] }).config;
    const { paths, environment } = this;
    return { paths, configFile: paths.config, config, environment, clock: systemClock, ...change };
  }

  async result(name: string, change: Partial<DoctorContext> = {}): Promise<CheckResult> {
    const { checks } = await runDoctor(this.context(change));
    const found = checks.find((one) => one.name === name);
    expect(found, `${name} among ${checks.map((one) => one.name).join(', ')}`).toBeDefined();
    return found!;
  }
}

test('a sound daemon is well, and says so to a person', async () => {
  const patient = new Patient();
  await patient.listen();
  const report = await runDoctor(patient.context());
  const notOk = report.checks.filter(({ status, name }) => status !== 'ok' && name !== 'disk');
  expect(notOk).toEqual([]);
  expect(report.ok).toBe(true);
  expect(report.checks.map(({ name }) => name)).toEqual([
    'configuration',
    'lock',
    'pid file',
    'socket',
    'agent claude',
    'variables',
    'disk',
    'watched folders',
    'tmux',
    'clock',
    'node',
  ]);
  const lines = doctorLines(report);
  expect(lines).toContainEqual(
    expect.stringMatching(/^ok {7}agent claude {5}\/.*\/bin\/claude: 2\.1\.0 \(Claude Code\)$/),
  );
});

test('the report names each remedy and counts what is wrong', () => {
  const lines = doctorLines({
    ok: false,
    checks: [
      { name: 'disk', status: 'failed', detail: '3 MiB free', remedy: 'Make room' },
      { name: 'tmux', status: 'warning', detail: 'not found' },
    ],
  });
  expect(lines).toEqual([
    'failed   disk  3 MiB free',
    '               Make room',
    'warning  tmux  not found',
    '',
    '1 failed, 1 warning.',
  ]);
});

describe('the configuration', () => {
  test('with an error has failed', async () => {
    const patient = new Patient();
    patient.text = '{ "daemon": { "max_parallel_actions": "many" } }';
    expect(await patient.result('configuration')).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('daemon.max_parallel_actions'),
      remedy: expect.stringContaining('config validate'),
    });
  });

  test('that is gone is a warning', async () => {
    const patient = new Patient();
    const context = patient.context();
    rmSync(patient.paths.config);
    const { checks } = await runDoctor(context);
    expect(checks[0]).toMatchObject({ status: 'warning', detail: expect.stringContaining('is gone') });
  });
});

describe('the files of the daemon', () => {
  test('that are missing have failed', async () => {
    const patient = new Patient();
    rmSync(patient.paths.lock);
    rmSync(patient.paths.pid);
    const { checks, ok } = await runDoctor(patient.context());
    expect(ok).toBe(false);
    expect(checks.filter(({ status }) => status === 'failed').map(({ name }) => name)).toEqual([
      'lock',
      'pid file',
      'socket',
    ]);
  });

  test('that name another process have failed', async () => {
    const patient = new Patient();
    await patient.listen();
    writeFileSync(patient.paths.lock, lockText({ ...identityOf()!, pid: 1 }, patient.paths));
    writeFileSync(patient.paths.pid, '1');
    expect(await patient.result('lock')).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('process 1,'),
    });
    expect(await patient.result('pid file')).toMatchObject({ status: 'failed' });
    expect(await patient.result('socket')).toMatchObject({ status: 'ok' });
  });
});

describe('agents', () => {
  test('without a program: the default one has failed, others are a warning', async () => {
    const patient = new Patient();
    patient.text = JSON.stringify({
      agents: {
        claude: { provider: 'claude', program: 'no-such-program' },
        script: { provider: 'command', command: ['./missing.sh'] },
        fine: { provider: 'command', command: ['./bin/claude', '--x'] },
      },
    });
    expect(await patient.result('agent claude')).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('"no-such-program" was not found on PATH'),
    });
    expect(await patient.result('agent script')).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('missing.sh does not exist'),
    });
    expect(await patient.result('agent fine')).toMatchObject({
      status: 'ok',
      detail: join(patient.bin, 'claude'),
    });
  });

  test('that do not run are a warning', async () => {
    const patient = new Patient();
    patient.program('claude', 'echo broken; exit 3');
    expect(await patient.result('agent claude')).toMatchObject({
      status: 'warning',
      detail: `${join(patient.bin, 'claude')} --version ended with 3`,
    });
    patient.program('claude', 'exit 0');
    expect((await patient.result('agent claude')).detail).toContain('printed nothing');
    patient.program('claude', 'kill -9 $$');
    expect((await patient.result('agent claude')).detail).toContain('SIGKILL');
  });

  test('see no variable but PATH, HOME and LANG', async () => {
    const patient = new Patient();
    patient.program('claude', `env > ${join(patient.root, 'seen')}; echo '1 ${CLAUDE_HELP}'`);
    await patient.result('agent claude');
    const names = readFileSync(join(patient.root, 'seen'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    // A shell adds its own.
    const own = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);
    expect(new Set(names.filter((name) => !own.has(name!)))).toEqual(
      new Set(['AIWG_ATTEMPT_ID', 'AIWG_PROJECT', 'HOME', 'PATH']),
    );
  });

  test('are not believed to be quiet, plain or short', async () => {
    const patient = new Patient();
    patient.program('claude', `printf '1.0\\033[31m%0200d\\nmore' 7; head -c 10000000 /dev/zero`);
    const detail = await programVersion({
      path: join(patient.bin, 'claude'),
      cwd: patient.root,
      environment: patient.environment,
      clock: systemClock,
    });
    expect(detail).toMatch(/^1\.0\[31m0+$/);
    expect(detail).toHaveLength(80);
  });

  test('that hang are ended with everything they started', async () => {
    const patient = new Patient();
    const clock = new FakeClock();
    const pidFile = join(patient.root, 'pids');
    const path = patient.program(
      'claude',
      `trap '' TERM; (trap '' TERM; echo $$ >> ${pidFile}.tmp; sleep 1000) & echo $! >> ${pidFile}.tmp
       mv ${pidFile}.tmp ${pidFile}; while :; do sleep 1000; done`,
    );
    const { environment, root } = patient;
    const asked = programVersion({ path, cwd: root, environment, clock }).catch(
      (error: Error) => error.message,
    );
    await until('it hangs', () => existsSync(pidFile));
    const pids = readFileSync(pidFile, 'utf8').trim().split('\n').map(Number);
    onTestFinished(() => pids.forEach(endNow));
    let done = false;
    const ended = asked.finally(() => {
      done = true;
    });
    clock.advance(5_000);
    await until('it was given up', () => {
      clock.advance(50);
      return done;
    });
    expect(await ended).toBe('--version did not end within 5 seconds');
    await until('all are gone', () => pids.every((pid) => identityOf(pid) === undefined));
  });
});

describe('variables', () => {
  test('that are named and not set have failed, and no value is shown', async () => {
    const patient = new Patient();
    patient.text = JSON.stringify({
      webhook: { enabled: true, secret_env: 'HOOK_SECRET' },
      rules: [
        {
          id: 'tell',
          trigger: { type: 'event', topic: 'build.failed' },
          actions: [
            { type: 'webhook', url: 'https://example.org/', secret_env: 'AIWG_TEST_TOKEN' },
            { type: 'command', command: ['true'], env: { TARGET: 'x-${DEPLOY_TARGET}' } },
          ],
        },
        {
          id: 'off',
          enabled: false,
          trigger: { type: 'event', topic: 'build.failed' },
          actions: [{ type: 'webhook', url: 'https://example.org/', secret_env: 'NOT_NEEDED' }],
        },
      ],
    });
    const { checks } = await runDoctor(patient.context());
    const missing = checks.filter(({ name }) => name === 'variables');
    expect(new Set(missing.map(({ detail }) => detail.split(' ')[0]))).toEqual(
      new Set(['DEPLOY_TARGET', 'HOOK_SECRET']),
    );
    expect(missing.every(({ status }) => status === 'failed')).toBe(true);
    patient.environment['HOOK_SECRET'] = 'a-secret-value';
    patient.environment['DEPLOY_TARGET'] = '';
    const { checks: again } = await runDoctor(patient.context());
    expect(again.filter(({ name }) => name === 'variables')).toMatchObject([
      { detail: expect.stringMatching('^DEPLOY_TARGET') },
    ]);
    expect(JSON.stringify([checks, again])).not.toMatch(/never-to-be-seen|a-secret-value/);
  });
});

describe('the machine', () => {
  const GIB = 1024 ** 3;

  test.each([
    [50 * GIB, 100 * GIB, 'ok'],
    [4 * GIB, 100 * GIB, 'warning'],
    [GIB - 1, 2 * GIB, 'warning'],
    [100 * 1024 ** 2 - 1, 100 * GIB, 'failed'],
    [0, 0, 'failed'],
  ])('with %i bytes of %i free: %s', (free, total, status) => {
    expect(judgeDisk({ free, total }).status).toBe(status);
  });

  test.each([
    [100, 8_192, 128, 'ok'],
    [7_000, 8_192, 128, 'warning'],
    [9_000, 8_192, 128, 'failed'],
    [100, 8_192, 8, 'warning'],
  ])('with %i folders to watch, %i watches and %i instances: %s', (folders, watches, instances, status) => {
    expect(judgeInotify({ folders, watches, instances }).status).toBe(status);
  });

  test('counts the folders that are watched', async () => {
    const patient = new Patient();
    for (const folder of ['src/a/b', 'src/node_modules/c', 'src/.git/d', 'other'])
      mkdirSync(join(patient.root, folder), { recursive: true });
    patient.text = '{ "watch": { "paths": ["src", "missing"] } }';
    expect((await patient.result('watched folders')).detail).toMatch(/^3 folders/);
    patient.text = '{ "watch": { "enabled": false } }';
    expect((await patient.result('watched folders')).detail).toBe('watching is off');
  });

  test('without tmux is a warning', async () => {
    const patient = new Patient();
    patient.environment['PATH'] = join(patient.root, 'empty');
    expect(await patient.result('tmux')).toMatchObject({ status: 'warning' });
  });

  test.each([
    ['20.19.0', 'ok'],
    ['26.0.0', 'ok'],
    ['20.18.9', 'failed'],
    ['18.20.0', 'failed'],
  ])('with Node %s: %s', (version, status) => {
    expect(judgeNode(version).status).toBe(status);
  });

  test('with a clock that was reset, or has gone backwards', async () => {
    const patient = new Patient();
    expect(await patient.result('clock', { clock: new FakeClock(0) })).toMatchObject({ status: 'failed' });
    const noon = Date.UTC(2030, 5, 1, 12);
    writeFileSync(patient.paths.state, '{}');
    utimesSync(patient.paths.state, noon / 1_000, noon / 1_000);
    expect(await patient.result('clock', { clock: new FakeClock(noon - 60_000) })).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('has gone backwards'),
    });
    expect(await patient.result('clock', { clock: new FakeClock(noon) })).toMatchObject({ status: 'ok' });
  });
});

test('a check that breaks has failed, and the others are made', async () => {
  const patient = new Patient();
  const context = patient.context();
  rmSync(patient.paths.daemon, { recursive: true });
  const { checks, ok } = await runDoctor(context);
  expect(ok).toBe(false);
  expect(checks.find(({ name }) => name === 'disk')?.detail).toMatch('the check could not be made');
  expect(checks.at(-1)).toMatchObject({ name: 'node' });
});

test('nobody waits for a check that was called off', async () => {
  const patient = new Patient();
  const stop = new AbortController();
  const started = join(patient.root, 'started');
  chmodSync(patient.program('claude', `echo > ${started}; sleep 1000`), 0o755);
  const report = runDoctor(patient.context({ signal: stop.signal })).catch((error: Error) => error.name);
  await until('the program runs', () => existsSync(started));
  stop.abort();
  expect(await report).toBe('AbortError');
});
