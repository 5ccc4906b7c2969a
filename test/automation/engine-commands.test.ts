import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ShortCommands } from '#aiwgd/agents/short-command.js';
import type { CommandPort } from '#aiwgd/automation/ports.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { endNow, tempFolder, until } from '../support/temp.js';
import { Rig } from './engine-rig.js';

type Question = Parameters<CommandPort['run']>[0];
type Answer = Awaited<ReturnType<CommandPort['run']>>;

const ON_GO = { type: 'event', topic: 'go' };
const SHELL = { type: 'shell', command: ['./ask'] };
const TASK = { type: 'submit_task', prompt: '{{payload.n}}', wait: false };
const YES: Answer = { exitCode: 0, timedOut: false, output: '' };

/** Commands whose answers a test gives. */
class Answers implements CommandPort {
  readonly open: (Question & { answer: (answer: Answer) => void })[] = [];
  readonly ended: string[] = [];
  most = 0;

  run(question: Question): Promise<Answer> {
    return new Promise((resolve) => {
      const asked = {
        ...question,
        answer: (answer: Answer) => {
          this.open.splice(this.open.indexOf(asked), 1);
          resolve(answer);
        },
      };
      this.open.push(asked);
      this.most = Math.max(this.most, this.open.length);
    });
  }

  endLeft(marks: readonly string[]): Promise<void> {
    this.ended.push(...marks);
    return Promise.resolve();
  }
}

test('each event is judged by itself, in order; the command gets it on stdin and as variables', async () => {
  const commands = new Answers();
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, condition: SHELL, action: TASK }], commands });
  rig.batch(() => {
    for (let n = 1; n <= 5; n += 1) rig.publish('go', { n });
  });
  for (let n = 1; n <= 5; n += 1) {
    await rig.idle();
    expect(commands.open).toHaveLength(1);
    const { stdin, env, answer } = commands.open[0]!;
    expect(JSON.parse(stdin)).toMatchObject({ type: 'go', payload: { n } });
    expect(env).toMatchObject({ AIWG_EVENT_TYPE: 'go', AIWG_EVENT_N: String(n) });
    answer(n % 2 === 0 ? YES : { exitCode: 3, timedOut: false, output: '\u001b[31mnot this one\n' });
  }
  await rig.idle();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['2', '4']);
  const no = rig.trace().find(({ outcome }) => outcome === 'conditions');
  expect(no?.count).toBe(3);
  expect(no?.why).toContain('it ended with 3, and it said: ␛[31mnot this one');
});

test('a kill while a command is asked: what it left is ended, and the events are judged by the next daemon', async () => {
  const commands = new Answers();
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, condition: SHELL, action: TASK }], commands });
  for (let n = 1; n <= 3; n += 1) rig.publish('go', { n });
  await rig.idle();
  const { mark, answer } = commands.open[0]!;
  await rig.reopen();
  answer(YES);
  await rig.idle();
  expect(commands.ended).toEqual([mark]);
  expect(rig.tasks.all).toEqual([]);
  for (let n = 1; n <= 3; n += 1) {
    await rig.idle();
    commands.open[0]!.answer(YES);
  }
  await rig.idle();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['1', '2', '3']);
  await rig.reopen();
  expect(commands.ended).toHaveLength(1);
  expect(commands.open).toHaveLength(0);
});

test('rules do not wait for the commands of others, and not too many run at once', async () => {
  const commands = new Answers();
  const rules = Array.from({ length: 10 }, (_, at) => ({
    id: `rule-${at}`,
    trigger: ON_GO,
    condition: SHELL,
    action: TASK,
  }));
  const rig = await Rig.open({ rules: [...rules, { id: 'plain', trigger: ON_GO, action: TASK }], commands });
  rig.publish('go', { n: 1 });
  await rig.idle();
  expect(rig.tasks.all.map(({ ruleId }) => ruleId)).toEqual(['plain']);
  for (let at = 0; at < 10; at += 1) {
    await rig.idle();
    commands.open[0]!.answer(YES);
  }
  await rig.idle();
  expect(commands.most).toBe(4);
  expect(rig.tasks.all).toHaveLength(11);
});

test('a rule that changes while its command is asked judges anew, and one that is gone does nothing', async () => {
  const commands = new Answers();
  const rule = { trigger: ON_GO, condition: SHELL, action: TASK };
  const rig = await Rig.open({ rules: [rule], commands });
  rig.publish('go', { n: 1 });
  await rig.idle();
  rig.reconfigure({ ...rule, condition: { type: 'shell', command: ['./other'] } });
  commands.open[0]!.answer(YES);
  await rig.idle();
  expect(rig.tasks.all).toEqual([]);
  expect(commands.open[0]!.command).toEqual(['./other']);
  rig.reconfigure();
  commands.open[0]!.answer(YES);
  await rig.idle();
  expect(rig.tasks.all).toEqual([]);
  await rig.reopen();
  expect(commands.open).toEqual([]);
});

test('a storm of events for a slow command is bounded, and the trace counts what had no room', async () => {
  const rig = await Rig.open({
    rules: [{ trigger: ON_GO, condition: SHELL, action: TASK }],
    commands: new Answers(),
  });
  rig.batch(() => {
    for (let n = 0; n < 6_000; n += 1) rig.publish('go', { n });
  });
  rig.batch(() => {
    for (let n = 0; n < 6_000; n += 1) rig.publish('go', { n });
  });
  expect(rig.trace()).toMatchObject([
    { outcome: 'dropped', count: 2_000, why: 'too many events wait for the command of a condition' },
  ]);
  expect(rig.db.get('SELECT count(*) AS n FROM rule_inbox')!['n']).toBe(10_000);
});

test('a stop waits until no process of a command is left, and the next daemon has nothing to end', async () => {
  const commands = new Answers();
  const rig = await Rig.open({ rules: [{ trigger: ON_GO, condition: SHELL, action: TASK }], commands });
  rig.publish('go', { n: 1 });
  await rig.idle();
  let stopped = false;
  const stop = rig.stop().finally(() => {
    stopped = true;
  });
  await rig.idle();
  const { signal, answer } = commands.open[0]!;
  expect([signal.aborted, stopped]).toEqual([true, false]);
  answer({ exitCode: null, timedOut: true, output: '' });
  await stop;
  await rig.reopen();
  expect(commands.ended).toEqual([]);
  commands.open[0]!.answer(YES);
  await rig.idle();
  expect(rig.tasks.all.map(({ prompt }) => prompt)).toEqual(['1']);
});

/** Real processes, in a project of their own. */
function shop() {
  const folder = tempFolder();
  mkdirSync(join(folder, 'pids'));
  onTestFinished(() => {
    for (const pid of readdirSync(join(folder, 'pids'))) endNow(Number(pid));
  });
  const commands = new ShortCommands({ clock: systemClock, projectRoot: folder, environment: process.env });
  let marks = 0;
  const ask = (script: string, more: Partial<Question> = {}): Promise<Answer> => {
    marks += 1;
    const mark = `00000000-0000-4000-8000-${String(process.pid).padStart(8, '0')}${String(marks).padStart(4, '0')}`;
    const ends = new AbortController();
    return commands.run({
      mark,
      command: ['sh', '-c', script],
      env: {},
      stdin: '{}\n',
      timeoutMs: 10_000,
      signal: ends.signal,
      ...more,
    });
  };
  const living = (): string[] => readdirSync(join(folder, 'pids')).filter((pid) => isAlive(Number(pid)));
  return { folder, commands, ask, living };
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/su.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Three processes that ignore SIGTERM, one of them in a session of its own. */
const HANGS = `trap '' TERM; touch pids/$$
(trap '' TERM; touch pids/$(exec sh -c 'echo $PPID'); while :; do sleep 1; done) &
setsid sh -c 'trap "" TERM; touch pids/$$; while :; do sleep 1; done' &
while :; do sleep 1; done`;

test('a command that hangs is ended in time, with all of its processes', async () => {
  const { ask, living } = shop();
  const answer = ask(HANGS, { timeoutMs: 400 });
  await until('all three run', () => living().length === 3);
  expect(await answer).toMatchObject({ exitCode: null, timedOut: true });
  expect(living()).toEqual([]);
});

test('what a command leaves in the background is ended with it', async () => {
  const { ask, living } = shop();
  const answer = await ask(`(touch pids/$(exec sh -c 'echo $PPID'); while :; do sleep 1; done) & 
    while [ -z "$(ls pids)" ]; do sleep 0.01; done; exit 0`);
  expect(answer).toMatchObject({ exitCode: 0, timedOut: false });
  expect(living()).toEqual([]);
});

test('what a daemon that was killed left is ended by the next', async () => {
  const { ask, living, commands } = shop();
  const mark = '00000000-0000-4000-8000-000000000777';
  const answer = ask(HANGS, { mark, timeoutMs: 60_000 });
  await until('all three run', () => living().length === 3);
  await commands.endLeft([mark]);
  expect(living()).toEqual([]);
  expect(await answer).toMatchObject({ exitCode: null });
});

test('a stop ends the command that runs', async () => {
  const { ask, living } = shop();
  const stop = new AbortController();
  const answer = ask(HANGS, { signal: stop.signal, timeoutMs: 60_000 });
  await until('all three run', () => living().length === 3);
  stop.abort();
  await answer;
  expect(living()).toEqual([]);
});

test('one that does not read its stdin, says far too much, or is no program', async () => {
  const { ask, folder } = shop();
  expect(await ask('exit 7', { stdin: 'x'.repeat(8_000_000) })).toMatchObject({ exitCode: 7 });
  const loud = await ask('head -c 30000000 /dev/zero | tr "\\0" y >&2; echo the end >&2; exit 1');
  expect(loud.exitCode).toBe(1);
  expect(loud.output.length).toBeLessThanOrEqual(4_096);
  expect(loud.output).toMatch(/the end\n$/);
  const read = await ask('cat >copy; test "$AIWG_EVENT_X" = "\\$(id)" -a -z "$AIWGD_TEST_SECRET"', {
    stdin: '{"a": "$(id)"}\n',
    env: { AIWG_EVENT_X: '$(id)' },
  });
  expect(read.exitCode).toBe(0);
  expect(readFileSync(join(folder, 'copy'), 'utf8')).toBe('{"a": "$(id)"}\n');
  await expect(ask('', { command: ['no-such-program-at-all'] })).rejects.toThrow(/no-such-program-at-all/);
  writeFileSync(join(folder, 'plain.txt'), 'x');
  await expect(ask('', { command: ['./plain.txt'] })).rejects.toThrow(/plain\.txt/);
  expect(await ask('kill -9 $$')).toMatchObject({ exitCode: null, timedOut: false });
});

test('a program that is not there is a no, with the reason in the trace', async () => {
  const { commands } = shop();
  const rig = await Rig.open({
    rules: [
      { trigger: ON_GO, condition: { type: 'shell', command: ['no-such-program-at-all'] }, action: TASK },
    ],
    commands,
  });
  rig.publish('go', { n: 1 });
  await until('it was judged', () => rig.trace().length === 1);
  expect(rig.trace()[0]).toMatchObject({ outcome: 'conditions' });
  expect(rig.trace()[0]!.why).toMatch(/could not be asked: .*no-such-program-at-all/);
});
