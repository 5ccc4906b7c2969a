import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SpendReport } from '#aiwgd/protocol/spend.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';
import type { Charge } from '#aiwgd/tasks/task-store.js';
import { charge, DONE, FakeClock, newTask } from '#aiwgd/testing/index.js';
import { Project } from './support.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TZ = 'America/New_York';
const log = { debug() {}, info() {}, warn() {}, error() {} };

/** 02:00 UTC, which is the day before in New York. */
const BASE = new Date(Date.now() - 3 * DAY_MS).setUTCHours(2, 0, 0, 0);

function dayInNewYork(time: number): string {
  const day = { year: 'numeric', month: '2-digit', day: '2-digit', timeZone: TZ } as const;
  return new Intl.DateTimeFormat('en-CA', day).format(time);
}

/** A project whose agents have ended attempts, each at its time and of its rule. */
async function spentProject(
  ends: { at: number; ruleId: string | null; of: Partial<Charge> }[],
): Promise<Project> {
  const project = new Project({ config: {} });
  mkdirSync(project.paths.daemon, { recursive: true });
  for (const { at, ruleId, of } of ends) {
    const { store } = await openSqliteTaskStore({
      path: project.paths.database,
      clock: new FakeClock(at),
      log,
    });
    await store.submit([newTask({ ruleId })]);
    for (const { token, attemptId } of await store.claim({ owner: 'me', limit: 1, leaseMs: 1000 }))
      await store.finish(token, { ...DONE, charge: charge({ attemptId, ...of }) });
    await store[Symbol.asyncDispose]();
  }
  return project;
}

const ENDS = [
  { at: Date.now() - 40 * DAY_MS, ruleId: null, of: { costUsd: 5 } },
  { at: BASE, ruleId: 'nightly', of: { costUsd: 0.3 } },
  { at: BASE + 12 * HOUR_MS, ruleId: 'nightly', of: { costUsd: 0.0042, agent: 'codex' } },
  {
    at: BASE + 12 * HOUR_MS,
    ruleId: null,
    of: { costUsd: null, countedUsd: 1, agent: 'codex', tokens: null },
  },
];

it('tells what agents cost: by day of the daemon, rule, agent and task', async () => {
  const project = await spentProject(ENDS);
  // Nothing to tell yet, and no daemon that could.
  expect((await project.run(['spend'])).code).toBe(3);
  await project.start({ env: { TZ } });

  const report = await project.json<SpendReport>(['spend']);
  const later = {
    key: dayInNewYork(BASE + 12 * HOUR_MS),
    costUsd: 0.0042,
    countedUsd: 1.0042,
    attempts: 2,
    unknown: 1,
  };
  const earlier = { key: dayInNewYork(BASE), costUsd: 0.3, countedUsd: 0.3, attempts: 1, unknown: 0 };
  expect(report).toMatchObject({ by: 'day', rows: [later, earlier] });
  expect(report.total).toMatchObject({
    attempts: 3,
    unknown: 1,
    tokens: { input: 200, cachedInput: 80, output: 14 },
  });
  expect(report.total.costUsd).toBeCloseTo(0.3042);
  expect(Date.parse(report.until) - Date.parse(report.since)).toBe(30 * DAY_MS);

  const keys = async (...words: string[]) =>
    (await project.json<SpendReport>(['spend', ...words])).rows.map(({ key }) => key);
  expect(await keys('--by', 'rule')).toEqual(['nightly', null]);
  expect(await keys('--by', 'rule', '--since', '60d')).toEqual([null, 'nightly']);
  expect(await keys('--by', 'agent')).toEqual(['claude', 'codex']);
  expect(await keys('--by', 'task', '--limit', '2')).toEqual(['task-0002', 'task-0003']);
  expect(await keys('--since', new Date(BASE + 1).toISOString())).toEqual([later.key]);
  expect(await keys('--since', '1s')).toEqual([]);
});

/** A stand-in for claude that counts as 2.1.330 does, from the beginning of its session: 0.30, then 0.75 in all. */
const CLAUDE = `#!/bin/sh
case "$*" in *--resume*) total=0.75;; *) total=0.3;; esac
cat > /dev/null
session=59b5f1ba-dc9b-47e2-ae5a-7ee391df79e0
echo "{\\"type\\":\\"system\\",\\"subtype\\":\\"init\\",\\"session_id\\":\\"$session\\",\\"claude_code_version\\":\\"2.1.330\\"}"
echo "{\\"type\\":\\"result\\",\\"subtype\\":\\"success\\",\\"is_error\\":false,\\"result\\":\\"ok\\",\\"session_id\\":\\"$session\\",\\"total_cost_usd\\":$total}"
`;

it('counts what claude says that it cost, and no dollar twice where it goes on in a session', async () => {
  const project = new Project({ config: { agents: { claude: { program: './claude' } } } });
  writeFileSync(join(project.root, 'claude'), CLAUDE);
  chmodSync(join(project.root, 'claude'), 0o755);
  await project.start();
  await project.ok(['task', 'submit', '--wait', 'first']);
  await project.ok(['task', 'submit', '--wait', '--resume', 'task-0001', 'second']);
  const costs = (await project.json<Task[]>(['task', 'list'])).map(({ costUsd }) => costUsd);
  expect(costs).toEqual([0.45, 0.3]);
  const { rows, total } = await project.json<SpendReport>(['spend', '--by', 'agent']);
  expect(rows).toMatchObject([{ key: 'claude', costUsd: 0.75, countedUsd: 0.75, attempts: 2, unknown: 0 }]);
  expect(total).toMatchObject({ costUsd: 0.75, attempts: 2 });
  // The next daemon knows it all.
  await project.kill();
  await project.start();
  expect(await project.ok(['spend', '--by', 'task'])).toContain('task-0002  $0.45');
});

it('shows a table with its total, and says what nobody knows', async () => {
  const project = await spentProject(ENDS);
  await project.start();
  const lines = (await project.ok(['spend', '--by', 'rule'])).trimEnd().split('\n');
  expect(lines.slice(0, 4)).toEqual([
    'RULE          COST  ATTEMPTS  UNKNOWN  INPUT  CACHED  OUTPUT',
    'nightly    $0.3042         2        -    200      80      14',
    '(no rule)    $0.00         1        1      0       0       0',
    'total      $0.3042         3        1    200      80      14',
  ]);
  expect(lines[5]).toBe('The cost of 1 attempt is unknown and in no sum; budgets count $1.00 instead');
  expect(await project.ok(['spend', '--by', 'task', '--limit', '1'])).toContain(
    'The most expensive are shown; --limit shows more',
  );
  expect(await project.ok(['spend', '--since', '1s'])).toContain('No attempt of an agent has ended since ');
});

it('refuses what it cannot read', async () => {
  const project = await spentProject([]);
  await project.start();
  for (const [words, message] of [
    [['--by', 'month'], 'month'],
    [['--since', 'yesterday'], '--since yesterday: write'],
    [['--limit', '0'], 'It must be a whole number from 1 to 1000'],
  ] as const) {
    const { code, stderr } = await project.run(['spend', ...words]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  }
  const client = await project.connect();
  await expect(client.call('spend.report', { since: 'soon' })).rejects.toMatchObject({
    code: 'INVALID_PARAMS',
  });
});
