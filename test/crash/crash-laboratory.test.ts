import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../support/temp.js';

const AGENT = fileURLToPath(new URL('agent.sh', import.meta.url));

// The laboratory is plain JavaScript, so that it runs without being built: what of it is tested here is typed by hand.
interface Task {
  id: string;
  prompt: string;
  key: string | null;
  state: string;
  exitCode: number | null;
  signal: string | null;
  attempt: number;
  maxAttempts: number;
  outputBytes: number;
  error: string | null;
  createdAt: string;
  startedAt: string;
  completedAt: string | null;
}
interface Submit {
  prompt: string;
  key?: string;
  timeoutMs?: number;
}
interface Ledger {
  submitted(name: string, submit: Submit): void;
  acknowledged(name: string, taskId: string): void;
  cancelAsked(taskId: string): void;
  cancelAcknowledged(taskId: string): void;
  tell(task: Task, where: string): void;
  hits: { what: string; taskId: string; attemptId: string }[];
  find(promise: string, detail: string): void;
}

const load = (file: string): Promise<Record<string, unknown>> =>
  import(new URL(file, import.meta.url).href) as Promise<Record<string, unknown>>;
const { drawRound } = (await load('scenario.mjs')) as { drawRound: (seed: number, round: number) => object };
const { judge } = (await load('invariants.mjs')) as {
  judge: (evidence: object) => { promise: string; detail: string }[];
};
const { Evidence } = (await load('evidence.mjs')) as { Evidence: new (parts: object) => object };
const { Ledger: LedgerClass } = (await load('ledger.mjs')) as { Ledger: new () => Ledger };
const { parseJournal } = (await load('journal.mjs')) as { parseJournal: (text: string) => object[] };
const { outputOf, readPrompt } = (await load('agent-spec.mjs')) as {
  outputOf: (spec: object) => string;
  readPrompt: (prompt: string) => { name: string; spec: object };
};

const PROMPT = '#r0-1 lines=2 pad=x times=3';
const OUTPUT = 'line 1 xxx\nline 2 xxx\n';

/** A round in which one task was run and all is well, to be spoilt in one point. */
function wellRound(): {
  task: Task;
  ledger: Ledger;
  journal: string[];
  output: { rpc: string };
  more: Task[];
} {
  const ledger = new LedgerClass();
  ledger.submitted('r0-1', { prompt: PROMPT });
  ledger.acknowledged('r0-1', 'task-0001');
  const task: Task = {
    id: 'task-0001',
    prompt: PROMPT,
    key: null,
    state: 'completed',
    exitCode: 0,
    signal: null,
    attempt: 1,
    maxAttempts: 3,
    outputBytes: OUTPUT.length,
    error: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    startedAt: '2026-01-01T00:00:00.100Z',
    completedAt: '2026-01-01T00:00:01.000Z',
  };
  const journal = ['start task-0001 a 10.00 77 1000', 'unit task-0001 a 10.50 1', 'end task-0001 a 11.00 0'];
  return { task, ledger, journal, output: { rpc: OUTPUT }, more: [] };
}

function judged(spoil: (round: ReturnType<typeof wellRound>) => void): string[] {
  const round = wellRound();
  spoil(round);
  const folder = tempFolder();
  writeFileSync(join(folder, 'daemon.log'), '{"msg":"up"}\n');
  const tasks = [round.task, ...round.more];
  for (const task of tasks) round.ledger.tell(task, 'task.get');
  const evidence = Object.assign(
    new Evidence({
      tasks,
      after: 0,
      outputs: new Map([[round.task.id, round.output]]),
      history: [{ id: 'e1', timestamp: '2026-01-01T00:00:00.000Z' }],
      runs: parseJournal(round.journal.join('\n')),
      ledger: round.ledger,
      project: { slowCommands: [], daemonFolder: folder, file: (name: string) => join(folder, name) },
    }),
    { decoy: { isUntouched: () => true } },
  );
  return [...new Set(judge(evidence).map(({ promise }) => promise))];
}

describe('the promises of the crash laboratory', () => {
  it('hold for a round in which all is well', () => {
    expect(judged(() => undefined)).toEqual([]);
  });

  it.each<[string, (round: ReturnType<typeof wellRound>) => void]>([
    ['every acknowledged submit is there', ({ ledger }) => ledger.acknowledged('r0-1', 'task-0002')],
    [
      'every submit is one task',
      ({ task, more }) => more.push({ ...task, id: 'task-0002', state: 'cancelled' }),
    ],
    [
      'every task has one outcome',
      ({ task }) => Object.assign(task, { state: 'running', completedAt: null }),
    ],
    [
      'a told outcome never changes',
      ({ task, ledger }) => ledger.tell({ ...task, completedAt: '2026-01-01T00:00:00.500Z' }, 'tasks.json'),
    ],
    [
      'a told outcome never changes',
      ({ task, ledger }) => ledger.tell({ ...task, exitCode: 1 }, 'tasks.json'),
    ],
    [
      'a key names one active task',
      ({ task, more }) => {
        task.key = 'k';
        more.push({ ...task, id: 'task-0002', createdAt: '2026-01-01T00:00:00.999Z' });
      },
    ],
    [
      'an acknowledged cancel holds',
      ({ journal, ledger }) => {
        ledger.cancelAsked('task-0001');
        ledger.cancelAcknowledged('task-0001');
        journal.pop();
      },
    ],
    ['outcomes have their reason', ({ task }) => Object.assign(task, { state: 'cancelled' })],
    ['outcomes have their reason', ({ task }) => Object.assign(task, { state: 'failed' })],
    [
      'never two attempts of a task at once',
      ({ journal }) => journal.splice(1, 0, 'start task-0001 b 10.20 78 1001'),
    ],
    ['an attempt is launched once', ({ journal }) => journal.push('start task-0001 a 12.00 78 1001')],
    [
      'whatever happens to the daemon a task runs once',
      ({ task, journal }) => {
        task.attempt = 2;
        journal.push('start task-0001 b 12.00 78 1001');
      },
    ],
    ['attempts stay within their bound', ({ task }) => Object.assign(task, { attempt: 4 })],
    [
      'an interrupted attempt is followed or fails',
      ({ journal, ledger }) => {
        ledger.hits.push({ what: 'agent', taskId: 'task-0001', attemptId: 'a' });
        journal.pop();
      },
    ],
    ['output is whole', ({ output }) => Object.assign(output, { rpc: OUTPUT.replace('line 2', 'line 1') })],
    ['output is whole', ({ output }) => Object.assign(output, { rpc: OUTPUT + OUTPUT })],
    ['output is whole', ({ task }) => Object.assign(task, { outputBytes: 5 })],
    ['exits are the real ones', ({ task }) => Object.assign(task, { exitCode: 143 })],
    ['nothing is left after a stop', ({ ledger }) => ledger.find('nothing is left after a stop', 'sh (12)')],
  ])('%s: a round that breaks it is told', (promise, spoil) => {
    expect(judged(spoil)).toContain(promise);
  });
});

it('the same seed gives the same rounds', () => {
  for (const round of [0, 1, 7]) expect(drawRound(5, round)).toEqual(drawRound(5, round));
  expect(drawRound(5, 0)).not.toEqual(drawRound(6, 0));
});

it.each([
  [PROMPT, 0, null],
  ['#a lines=3 pause=0.01 pad=größe-日本-🙂 exit=7', 7, null],
  ['#b lines=1 kill=TERM', null, 'SIGTERM'],
])('the agent does what %s says, and notes it', (prompt, status, signal) => {
  const journal = join(tempFolder(), 'journal');
  const env = {
    PATH: process.env['PATH'],
    LAB_JOURNAL: journal,
    AIWG_TASK_ID: 'task-0001',
    AIWG_ATTEMPT_ID: 'a',
  };
  const ran = spawnSync('/bin/sh', [AGENT], { input: prompt, encoding: 'utf8', env });
  expect(ran).toMatchObject({ stdout: outputOf(readPrompt(prompt).spec), stderr: '', status, signal });
});

it.each([['--rounds', 'abc'], ['--rounds', '0'], ['--rounds', '-3'], ['--seed', 'x'], ['--bogus']])(
  'refuses what is no run: %s %s',
  (...args) => {
    const run = fileURLToPath(new URL('run.mjs', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [run, ...args], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^usage: npm run crash/);
  },
);
