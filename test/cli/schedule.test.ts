import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { socketAddress } from '#aiwgd/ipc/running-daemon.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { type CliResult, makeFolder, runCli } from './run-cli.js';

const folder = makeFolder(false);
afterAll(folder.remove);

const next = (args: string[], env: Record<string, string> = {}): Promise<CliResult> =>
  runCli(['schedule', 'next', ...args], { cwd: folder.root, env });

describe('schedule next', () => {
  it('says the slots after a moment, without a daemon or a project', async () => {
    const { code, stdout } = await next([
      '30 4 1,15 * 5',
      '--timezone',
      'UTC',
      '--from',
      '2026-11-06T04:30Z',
      '--count',
      '3',
      '--json',
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      cron: '30 4 1,15 * 5',
      timezone: 'UTC',
      next: ['2026-11-13T04:30:00.000Z', '2026-11-15T04:30:00.000Z', '2026-11-20T04:30:00.000Z'],
    });
  });

  it("takes the machine's time zone, and five from now on, where nothing is said", async () => {
    const before = Date.now();
    const { stdout } = await next(['@hourly', '--json'], { TZ: 'Asia/Tokyo' });
    const answer = JSON.parse(stdout) as { timezone: string; next: string[] };
    expect(answer.timezone).toBe('Asia/Tokyo');
    expect(answer.next).toHaveLength(5);
    expect(Date.parse(answer.next[0]!)).toBeGreaterThan(before);
    expect(Date.parse(answer.next[4]!) - Date.parse(answer.next[0]!)).toBe(4 * 3_600_000);
  });

  it.each(['', 'Foo/Bar', ':/etc/nothing'])(
    'takes UTC where TZ is %j, which names no time zone',
    async (TZ) => {
      const { code, stdout } = await next(['@daily', '--json'], { TZ });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ timezone: 'UTC' });
    },
  );

  it('shows people the normal form, the time there and in UTC, and how far it is', async () => {
    const { code, stdout } = await next([
      '30 02 * * Mon-fri',
      '--timezone=Europe/Berlin',
      '--from=2026-03-28T12:00Z',
      '--count=1',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^ *Original form: 30 02 \* \* Mon-fri\n *Normalized form: 30 2 \* \* 1-5\n *Time zone: Europe\/Berlin\n *Next elapse: Mon 2026-03-30 02:30:00 GMT\+2\n *\(in UTC\): Mon 2026-03-30 00:30:00 UTC\n *From now: .+\n$/,
    );
  });

  it('says so where nothing comes', async () => {
    expect((await next(['0 0 31 2 *', '--timezone', 'UTC'])).stdout).toContain('Next elapse: never');
    expect(JSON.parse((await next(['0 0 31 2 *', '--json'])).stdout)).toMatchObject({ next: [] });
  });

  it('takes a date alone for midnight here', async () => {
    const { stdout } = await next(['0 0 * * *', '--from', '2026-05-05', '--count', '1', '--json'], {
      TZ: 'Asia/Tokyo',
    });
    expect(JSON.parse(stdout)).toMatchObject({ next: ['2026-05-05T15:00:00.000Z'] });
  });

  it.each([
    [['60 * * * *'], /"60 \* \* \* \*" is wrong: minutes go from 0 to 59; 60 is outside/],
    [['* * *'], /has 3 fields/],
    [[''], /must not be empty/],
    [['@daily', '--timezone', 'Europe/Berlim'], /"Europe\/Berlim" is no time zone/],
    [['@daily', '--from', 'tomorrow'], /"tomorrow" is no time/],
    [['@daily', '--count', '0'], /whole number from 1/],
    [['0', '0', '*', '*', '*'], /too many arguments/],
  ])('%j exits 2 and says why', async (args, reason) => {
    const { code, stdout, stderr } = await next(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(reason);
  });
});

const JOB = {
  id: 'nightly',
  enabled: true,
  cron: '0 3 * * *',
  timezone: 'Europe/Berlin',
  action: 'doctor',
  next: null,
  last: '2026-01-01T00:00:00.000Z',
  lastOutcome: 'completed',
  catchUp: 'none',
  overlap: 'skip',
};

/** A project with something that answers as the daemon does. */
async function projectWithJobs(jobs: object[]): Promise<string> {
  const { root, remove } = makeFolder();
  onTestFinished(remove);
  const answer = (method: string, jobId: string | undefined): object => {
    if (method === 'schedule.list') return { result: jobs };
    if (jobId === 'nightly') return { result: { runId: 'run-1' } };
    if (jobId === 'busy') return { result: { runId: null } };
    return { error: { code: -32001, message: `There is no job "${jobId}".` } };
  };
  const server = createServer((socket) => {
    createInterface({ input: socket }).on('line', (line) => {
      const { id, method, params } = JSON.parse(line) as {
        id: number;
        method: string;
        params?: { jobId?: string };
      };
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...answer(method, params?.jobId) })}\n`);
    });
  });
  const address = socketAddress(projectPaths(root));
  mkdirSync(dirname(address), { recursive: true });
  await new Promise<void>((resolve) => server.listen(address, resolve));
  onTestFinished(() => void server.close());
  return root;
}

describe('schedule list and run', () => {
  it('list shows the jobs', async () => {
    const cwd = await projectWithJobs([
      JOB,
      { ...JOB, id: 'off', enabled: false, last: null, lastOutcome: null },
    ]);
    const { code, stdout } = await runCli(['schedule', 'list'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ID +NEXT +LAST +OUTCOME +CRON +TIMEZONE +ACTION\n/);
    expect(stdout).toMatch(/^nightly +- +\d+d ago +completed +0 3 \* \* \* +Europe\/Berlin +doctor$/m);
    expect(stdout).toMatch(/^off +disabled +- +- +0 3/m);
    expect(JSON.parse((await runCli(['schedule', 'list', '--json'], { cwd })).stdout)).toHaveLength(2);
  });

  it('list says where there are none', async () => {
    const cwd = await projectWithJobs([]);
    expect((await runCli(['schedule', 'list'], { cwd })).stdout).toBe('No jobs\n');
  });

  it('run prints the id of the run; an unknown job exits 4', async () => {
    const cwd = await projectWithJobs([JOB]);
    expect(await runCli(['schedule', 'run', 'nightly'], { cwd })).toMatchObject({
      code: 0,
      stdout: 'run-1\n',
    });
    expect((await runCli(['schedule', 'run', '-'], { cwd, input: 'nightly\n' })).stdout).toBe('run-1\n');
    expect((await runCli(['schedule', 'run', 'busy'], { cwd })).stdout).toMatch(/skips this one/);
    expect((await runCli(['schedule', 'run', 'busy', '--json'], { cwd })).stdout).toBe('{"runId":null}\n');
    const unknown = await runCli(['schedule', 'run', 'nigthly'], { cwd });
    expect(unknown.code).toBe(4);
    expect(unknown.stderr).toContain('There is no job "nigthly"');
  });

  it('exits 3 without a daemon', async () => {
    const { root, remove } = makeFolder();
    onTestFinished(remove);
    expect((await runCli(['schedule', 'list'], { cwd: root })).code).toBe(3);
  });
});
