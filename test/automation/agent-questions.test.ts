import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AgentAnswer,
  type AgentQuestion,
  AgentQuestions,
} from '#aiwgd/automation/gates/agent-questions.js';
import { permissionAction } from '#aiwgd/automation/gates/permission-text.js';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';
import { BY, type Desk, failure, MINUTE, openDesk, question } from './gate-fixtures.js';

const LOG = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface QuestionDesk extends Desk {
  questions: AgentQuestions;
  /** Asks, and answers with what is answered: the list grows. */
  ask: (more?: Partial<AgentQuestion>) => AgentAnswer[];
}

function openQuestions(folder = tempFolder(), clock = new FakeClock()): QuestionDesk {
  const desk = openDesk(folder, clock, {
    onAnswered: (gate, _runId, always) => questions.answered(gate, always),
  });
  const questions: AgentQuestions = new AgentQuestions({
    db: desk.db,
    log: LOG,
    gates: desk.keeper,
    expireMinutes: () => 30,
  });
  desk.keeper.start();
  const ask = (more: Partial<AgentQuestion> = {}): AgentAnswer[] => {
    const answers: AgentAnswer[] = [];
    questions.ask(
      {
        taskId: 'task-0001',
        attemptId: 'a1',
        agent: 'claude',
        questionId: 'q1',
        tool: 'Bash',
        input: { command: 'npm test' },
        cwd: '/home/alice/project',
        rule: 'Bash(npm test:*)',
        ruleId: null,
        causedBy: null,
        ...more,
      },
      (answer) => answers.push(answer),
    );
    return answers;
  };
  return { ...desk, questions, ask };
}

describe('a question of an agent', () => {
  test('is a gate that shows exactly what would be done', () => {
    const { keeper, ask, events } = openQuestions();
    const answers = ask({ ruleId: 'nightly', causedBy: 'evt-1' });
    const [gate] = keeper.list();
    expect(gate).toMatchObject({
      kind: 'permission',
      summary: 'task-0001 (claude) wants to use Bash: npm test',
      always: 'Bash(npm test:*)',
      taskId: 'task-0001',
      ruleId: 'nightly',
      expiresAt: '2026-01-01T00:30:00.000Z',
    });
    expect(gate?.action).toBe(
      '{\n  "tool": "Bash",\n  "cwd": "/home/alice/project",\n  "input": {\n    "command": "npm test"\n  }\n}',
    );
    expect(events[0]).toMatchObject({
      type: 'gate.pending',
      cause: 'evt-1',
      payload: {
        kind: 'permission',
        taskId: 'task-0001',
        always: 'Bash(npm test:*)',
        runId: 'attempt:a1:q1',
      },
    });
    expect(answers).toEqual([]);
  });

  test('is answered when the answer is on disk, and once', () => {
    const { keeper, ask } = openQuestions();
    const answers = ask();
    keeper.approve('gate-0001', BY);
    expect(answers).toEqual([{ allow: true, always: false, message: '' }]);
    expect(failure(() => keeper.reject('gate-0001', BY)).code).toBe('CONFLICT');
    expect(answers).toHaveLength(1);
  });

  test('is answered with no by a person, by nobody in time, and not by a gate that was withdrawn', () => {
    const { keeper, ask, clock, questions } = openQuestions();
    const said = ask();
    const silent = ask({ questionId: 'q2' });
    const gone = ask({ questionId: 'q3' });
    keeper.reject('gate-0001', BY, 'not on a Friday');
    questions.withdraw('a1', 'The agent asks for it no more', 'q3');
    clock.advance(30 * MINUTE);
    expect(said).toEqual([{ allow: false, always: false, message: 'A person said no: not on a Friday' }]);
    expect(silent).toEqual([{ allow: false, always: false, message: 'Nobody answered within 30 minutes.' }]);
    expect(gone).toEqual([]);
    expect(ask({ questionId: 'q3' })).toEqual([]);
    expect(keeper.list().map(({ id }) => id)).toEqual(['gate-0004']);
  });

  test('has one gate for ever: whoever asks again gets its answer, also over a kill', () => {
    const folder = tempFolder();
    const clock = new FakeClock();
    const first = openQuestions(folder, clock);
    first.ask();
    first.ask();
    expect(first.keeper.list()).toHaveLength(1);
    first.end();
    const second = openQuestions(folder, clock);
    const waits = second.ask();
    second.keeper.approve('gate-0001', BY, { always: true });
    expect(waits).toEqual([{ allow: true, always: true, message: '' }]);
    second.end();
    const third = openQuestions(folder, clock);
    expect(third.ask()).toEqual([{ allow: true, always: true, message: '' }]);
    expect(third.keeper.list('all')).toHaveLength(1);
  });

  test('has another gate where it is about something else, whatever it is called', () => {
    const { keeper, ask } = openQuestions();
    ask();
    keeper.approve('gate-0001', BY);
    expect(ask({ input: { command: 'rm -rf .' } })).toEqual([]);
    expect(ask({ cwd: '/elsewhere' })).toEqual([]);
    expect(ask({ attemptId: 'a2' })).toEqual([]);
    expect(ask({ tool: 'Shell' })).toEqual([]);
    expect(keeper.pendingCount).toBe(4);
  });

  test('may have any name', () => {
    const { keeper, ask } = openQuestions();
    const name = `a:b\n${'x'.repeat(10_000)}`;
    ask({ questionId: name });
    ask({ questionId: `${name}y` });
    expect(keeper.pendingCount).toBe(2);
    ask({ questionId: name });
    expect(keeper.pendingCount).toBe(2);
  });

  test('is refused where it is too long to be judged', () => {
    const { keeper, ask } = openQuestions();
    const error = failure(() => ask({ input: { content: 'y'.repeat(200_000) } }));
    expect(error.code).toBe('INVALID_PARAMS');
    expect(error.message).toMatch(/nobody can judge more than 128 KiB/);
    expect(failure(() => ask({ input: { content: '\u202e'.repeat(2_000_000) } })).code).toBe(
      'INVALID_PARAMS',
    );
    expect(keeper.list('all')).toEqual([]);
  });
});

describe('"always"', () => {
  test('is kept for the task, and for no other', () => {
    const { keeper, ask, questions } = openQuestions();
    const answers = ask();
    const gate = keeper.approve('gate-0001', BY, { always: true });
    expect(gate).toMatchObject({ state: 'approved', reason: 'always: Bash(npm test:*)' });
    expect(answers).toEqual([{ allow: true, always: true, message: '' }]);
    ask({ questionId: 'q2' });
    keeper.approve('gate-0002', BY, { always: true });
    expect(questions.allowed('task-0001')).toEqual(['Bash(npm test:*)']);
    expect(questions.allowed('task-0002')).toEqual([]);
    questions.forgetAllowed();
    expect(questions.allowed('task-0001')).toEqual([]);
  });

  test('is refused where the agent offers no rule, or one that is not read as it stands', () => {
    const { keeper, ask } = openQuestions();
    for (const [at, rule] of [
      null,
      '',
      'Bash(a\u202eb)',
      'Bash(a\nb)',
      `Bash(${'x'.repeat(600)})`,
    ].entries()) {
      ask({ questionId: `q${at}`, rule });
      const id = `gate-000${at + 1}`;
      expect(keeper.get(id)?.always).toBeNull();
      const error = failure(() => keeper.approve(id, BY, { always: true }));
      expect([error.code, error.message]).toEqual([
        'INVALID_PARAMS',
        `${id} offers nothing to allow for good: approve it for this once.`,
      ]);
      expect(keeper.get(id)?.state).toBe('pending');
    }
    keeper.ask(question());
    expect(failure(() => keeper.approve('gate-0006', BY, { always: true })).code).toBe('INVALID_PARAMS');
    expect(failure(() => keeper.approve('gate-0999', BY, { always: true })).code).toBe('NOT_FOUND');
  });

  test('is not there when the answer cannot be stored', () => {
    const { keeper, ask, questions, db } = openQuestions();
    const answers = ask();
    expect(() =>
      db.transaction(() => {
        keeper.approve('gate-0001', BY, { always: true });
        throw new Error('disk full');
      }),
    ).toThrow('disk full');
    expect(questions.allowed('task-0001')).toEqual([]);
    expect(answers).toEqual([]);
    expect(keeper.get('gate-0001')?.state).toBe('pending');
  });

  test('forgets the oldest of ten thousand rules', () => {
    const { db, keeper, ask, questions } = openQuestions();
    db.transaction(() => {
      for (let at = 0; at < 10_000; at += 1)
        db.run('INSERT INTO allowed_rules (task_id, rule) VALUES (?, ?)', `task-${at}`, 'Bash');
    });
    ask({ taskId: 'task-new' });
    keeper.approve('gate-0001', BY, { always: true });
    expect(questions.allowed('task-0')).toEqual([]);
    expect(questions.allowed('task-1')).toEqual(['Bash']);
    expect(questions.allowed('task-new')).toHaveLength(1);
  });
});

describe('what nobody waits for any more', () => {
  test('is withdrawn with its attempt', () => {
    const { keeper, ask, questions } = openQuestions();
    const answers = [ask(), ask({ questionId: 'q2' })];
    ask({ attemptId: 'a11' });
    keeper.ask(question());
    questions.withdraw('a1', 'The agent that asked has ended');
    expect(keeper.list().map(({ id }) => id)).toEqual(['gate-0004', 'gate-0003']);
    expect(keeper.get('gate-0001')).toMatchObject({
      state: 'rejected',
      answeredBy: null,
      reason: 'The agent that asked has ended',
    });
    expect(answers).toEqual([[], []]);
  });

  test('is withdrawn after a restart, but for the attempts that go on and for gates of rules', () => {
    const { keeper, ask, questions } = openQuestions();
    for (const attemptId of ['a1', 'a2', 'a3']) ask({ attemptId });
    keeper.ask(question());
    questions.keepOnly(new Set(['a2']));
    expect(keeper.list().map(({ id }) => id)).toEqual(['gate-0004', 'gate-0002']);
  });
});

test('what is shown is what is done, and hides nothing, whatever an agent asks for', () => {
  const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
  const weird = fc.string({
    unit: fc.oneof(
      fc.constantFrom('\u0000', '\u202e', '\u200d', '\ufeff', '\u{e0041}', '\ud800', '\u009b'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  });
  const { keeper, ask } = openQuestions();
  let count = 0;
  fc.assert(
    fc.property(weird, fc.dictionary(weird, fc.oneof(weird, fc.jsonValue())), (tool, fields) => {
      const input = JSON.parse(JSON.stringify(fields)) as Record<string, unknown>;
      count += 1;
      ask({ questionId: `q${count}`, tool, input });
      const [gate] = keeper.list();
      expect(gate?.action.replaceAll('\n', '')).not.toMatch(unseen);
      expect(JSON.parse(gate?.action ?? '')).toEqual({ tool, cwd: '/home/alice/project', input });
      expect(gate?.summary).not.toMatch(unseen);
      keeper.reject(gate?.id ?? '', BY);
    }),
    { numRuns: 200 },
  );
});

test('a database of an earlier version gets the column of rules', () => {
  const folder = tempFolder();
  const path = `${folder}/automation.db`;
  const first = openQuestions(folder);
  first.ask();
  first.end();
  const old = new StateDatabase({ path, clock: new FakeClock(), log: LOG });
  old.exec('ALTER TABLE gates DROP COLUMN always_rule');
  old.close();
  const { keeper, ask } = openQuestions(folder);
  expect(keeper.list().map(({ id, always }) => [id, always])).toEqual([['gate-0001', null]]);
  ask({ questionId: 'q2' });
  expect(keeper.get('gate-0002')?.always).toBe('Bash(npm test:*)');
});

test('an action of an agent is JSON, with no character that stands for another', () => {
  const text = permissionAction({
    taskId: 'task-0001',
    agent: 'claude',
    tool: 'Write',
    input: { file_path: 'é.txt', content: 'a\u202eb\u{e0041}c\nd' },
    cwd: '/p',
  });
  expect(text).toContain('"é.txt"');
  expect(text).toContain('"a\\u202eb\\udb40\\udc41c\\nd"');
});
