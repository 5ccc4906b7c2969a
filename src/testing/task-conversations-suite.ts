import type { Claim, TaskStore } from '../tasks/task-store.js';
import {
  BACK,
  charge,
  claim,
  claimOne,
  codeOf,
  DONE,
  LEASE_MS,
  newTask,
  type TaskStoreEngine,
  type TestTools,
  withStore,
} from './suite-harness.js';

const talk = (fields: Parameters<typeof newTask>[0] = {}) => newTask({ conversation: 'c', ...fields });
const claimed = async (store: TaskStore, limit = 10) =>
  (await claim(store, limit)).map(({ task }) => Number(task.id.slice('task-'.length)));

/** The part of the suite that is about conversations, and what one attempt tells the next. */
export function taskConversationsSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;
  const it = withStore(engine, tools);

  describe(`${name}: conversations`, () => {
    it('go on one task at a time, in the order of submission, whatever the priority', async (store) => {
      await store.submit([talk(), talk({ priority: 5 }), newTask(), talk({ conversation: 'd' }), newTask()]);
      // Followers do not count against the limit.
      const first = await claim(store, 3);
      expect(first.map(({ task }) => task.id)).toEqual(['task-0001', 'task-0003', 'task-0004']);
      expect(await claimed(store)).toEqual([5]);
      expect(await claimed(store)).toEqual([]);
      // In one breath, as the supervisor does.
      const [, next] = await Promise.all([store.finish(first[0]?.token ?? '', DONE), claim(store, 1)]);
      expect(next.map(({ task }) => task.id)).toEqual(['task-0002']);
    });

    it('wait while their first task waits for a retry', async (store, clock) => {
      await store.submit([talk(), talk(), talk({ runAt: clock.now() + 10 })]);
      const first = await claimOne(store);
      await store.release(first.token, { ...BACK, runAt: clock.now() + 1000 });
      expect(await claimed(store)).toEqual([]);
      clock.advance(500);
      expect(await claimed(store)).toEqual([]);
      expect(await store.nextRunAt()).toBe(clock.now() + 500);
      clock.advance(500);
      const again = await claim(store, 10);
      expect(again.map(({ task }) => task.id)).toEqual(['task-0001']);
      await store.finish(again[0]?.token ?? '', { ...DONE, state: 'failed' });
      expect(await claimed(store)).toEqual([2]);
    });

    it('go on when the task before is cancelled, queued or on its way back', async (store) => {
      await store.submit([talk(), talk(), talk(), talk()]);
      await store.requestCancel('task-0001');
      const second = await claimOne(store);
      expect(second.task.id).toBe('task-0002');
      // Not before its turn.
      await store.requestCancel('task-0003');
      expect(await claimed(store)).toEqual([]);
      await store.requestCancel('task-0002');
      expect(await claimed(store)).toEqual([]);
      await store.release(second.token, BACK);
      expect(await claimed(store)).toEqual([4]);
    });

    it('put a task that is queued anew before those that wait, and not beside one that runs', async (store) => {
      await store.submit([talk(), talk(), talk()]);
      const first = await claimOne(store);
      await store.finish(first.token, DONE);
      await store.requeue('task-0001');
      const again = await claim(store, 10);
      expect(again.map(({ task }) => task.id)).toEqual(['task-0001']);
      await store.finish(again[0]?.token ?? '', DONE);
      const second = await claimOne(store);
      expect(second.task.id).toBe('task-0002');
      await store.requeue('task-0001');
      expect(await claimed(store)).toEqual([]);
      await store.release(second.token, BACK);
      expect(await claimed(store)).toEqual([1]);
    });

    it('hold back their tasks also where a running one was taken over', async (store) => {
      await store.submit([talk(), talk()]);
      await claimOne(store);
      const [taken] = await store.reap({ owner: 'b', leaseMs: LEASE_MS, limit: 5, othersAreDead: true });
      expect(await claimed(store)).toEqual([]);
      expect(taken?.past).toEqual({ root: 'task-0001', sessionId: null, history: [] });
      await store.finish(taken?.token ?? '', DONE);
      expect(await claimed(store)).toEqual([2]);
    });

    it('are taken in with the tasks of another store', async (store) => {
      await store.submit([talk({ prompt: 'template' })]);
      const own = await store.get('task-0001');
      if (own === undefined) throw new Error('not stored');
      const conversation = 'imported';
      const imported = [
        { ...own, conversation, id: 'task-0013' },
        { ...own, conversation, id: 'task-0012', state: 'running' as const, attempt: 1 },
        { ...own, conversation, id: 'task-0011', state: 'failed' as const },
      ];
      expect(await store.import(imported)).toBe(3);
      expect(await claimed(store)).toEqual([1]);
      const [running] = await store.reap({ owner: 'b', leaseMs: LEASE_MS, limit: 5, othersAreDead: false });
      expect(running?.past?.root).toBe('task-0011');
      await store.finish(running?.token ?? '', DONE);
      expect(await claimed(store)).toEqual([13]);
      expect((await store.get('task-0013'))?.conversation).toBe(conversation);
    });
  });

  resumesSuite(name, engine, tools);
  pastSuite(name, engine, tools);
}

function resumesSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;
  const it = withStore(engine, tools);

  describe(`${name}: resumes`, () => {
    it('stays one from outside where one of its tasks is', async (store) => {
      const outside = { outside: true };
      await store.submit([newTask({ launch: outside }), talk(), talk({ launch: outside }), talk()]);
      await store.submit([newTask({ resumes: 'task-0001' }), talk({ conversation: 'other' }), newTask()]);
      const { tasks } = await store.list({ limit: 10 });
      expect(tasks.toReversed().map((task) => task.outside)).toEqual([
        true,
        false,
        true,
        true,
        true,
        false,
        false,
      ]);
    });

    it('begins a conversation with a task that had none, or goes on in its own', async (store) => {
      await store.submit([newTask({ agent: 'reviewer' }), talk()]);
      await store.submit([
        newTask({ resumes: 'task-0001' }),
        newTask({ resumes: 'task-0002', agent: 'b' }),
        newTask({ resumes: 'task-0003' }),
      ]);
      const conversations = await Promise.all(
        [1, 2, 3, 4, 5].map(async (number) => {
          const task = await store.get(`task-000${number}`);
          return [task?.conversation, task?.agent];
        }),
      );
      expect(conversations).toEqual([
        ['task:task-0001', 'reviewer'],
        ['c', null],
        ['task:task-0001', 'reviewer'],
        ['c', 'b'],
        ['task:task-0001', 'reviewer'],
      ]);
      expect(await claimed(store)).toEqual([1, 2]);
    });

    it('waits for the task it goes on from, in whatever state that is', async (store) => {
      await store.submit([newTask(), newTask()]);
      const [running, other] = (await claim(store, 2)) as [Claim, Claim];
      await store.finish(other.token, { ...DONE, sessionId: 's-2', result: 'two' });
      await store.submit([newTask({ resumes: 'task-0001' }), newTask({ resumes: 'task-0002' })]);
      const [ofEnded, ...none] = await claim(store, 10);
      expect(none).toEqual([]);
      expect(ofEnded).toMatchObject({
        task: { id: 'task-0004' },
        past: { root: 'task-0002', sessionId: 's-2', history: [{ prompt: 'say hello', result: 'two' }] },
      });
      await store.finish(running.token, DONE);
      expect(await claimed(store)).toEqual([3]);
    });

    it('refuses an id that is not there, and all that was to be stored with it', async (store) => {
      await store.submit([newTask()]);
      const submit = (...tasks: Parameters<typeof store.submit>[0]) => codeOf(store.submit(tasks));
      expect(await submit(newTask({ resumes: 'task-0001' }), newTask({ resumes: 'task-0009' }))).toBe(
        'NOT_FOUND',
      );
      expect(await submit(newTask({ resumes: '../x' }))).toBe('NOT_FOUND');
      expect(await submit(talk({ resumes: 'task-0001' }))).toBe('INVALID_PARAMS');
      expect(await submit(talk({ conversation: 'a\0b' }))).toBe('INVALID_PARAMS');
      expect((await store.counts()).total).toBe(1);
      expect((await store.get('task-0001'))?.conversation).toBe(null);
      expect((await store.submit([newTask()]))[0]?.id).toBe('task-0002');
    });

    it('asks for nothing where the task is there already', async (store) => {
      await store.submit([newTask({ once: 'o' })]);
      expect(await store.submit([newTask({ once: 'o', resumes: 'task-0009' })])).toMatchObject([
        { id: 'task-0001', deduped: true },
      ]);
    });
  });
}

function pastSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;
  const it = withStore(engine, tools);
  const runOne = async (store: TaskStore, prompt: string, outcome: Partial<typeof DONE>) => {
    await store.submit([talk({ prompt })]);
    const { token } = await claimOne(store);
    await store.finish(token, { ...DONE, ...outcome });
  };
  const pastOf = async (store: TaskStore) => {
    await store.submit([talk({ prompt: 'now' })]);
    const { past, token } = await claimOne(store);
    await store.finish(token, { ...DONE, state: 'failed', sessionId: null });
    return past;
  };

  describe(`${name}: past`, () => {
    it('is null without a conversation, and empty at its beginning', async (store) => {
      await store.submit([newTask()]);
      expect((await claimOne(store)).past).toBe(null);
      expect(await pastOf(store)).toEqual({ root: 'task-0002', sessionId: null, history: [] });
    });

    it('has the newest session, and the newest completed tasks in their order', async (store) => {
      for (let turn = 1; turn <= 12; turn += 1)
        await runOne(store, `p${turn}`, { result: `r${turn}`, sessionId: `s-${turn}` });
      await runOne(store, 'failed', { state: 'failed', sessionId: null });
      const history = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((turn) => ({
        prompt: `p${turn}`,
        result: `r${turn}`,
      }));
      expect(await pastOf(store)).toEqual({ root: 'task-0001', sessionId: 's-12', history });
    });

    it('has no more text than fits, cut at whole characters', async (store) => {
      await runOne(store, 'too much', { result: 'x' });
      for (let turn = 0; turn < 2; turn += 1)
        await runOne(store, 'é'.repeat(100_000), { result: '🎉'.repeat(100_000) });
      const history = (await pastOf(store))?.history ?? [];
      const bytes = history.reduce((sum, turn) => sum + Buffer.byteLength(turn.prompt + turn.result), 0);
      expect([history.length, bytes <= 256 * 1024, bytes > 250 * 1024]).toEqual([2, true, true]);
      expect(history[0]?.prompt.startsWith('éé')).toBe(true);
      expect(history[0]?.prompt.endsWith('é\n[The rest was left out.]')).toBe(true);
      expect(history[0]?.result.endsWith('🎉\n[The rest was left out.]')).toBe(true);
    });

    it('keeps its root when that is forgotten', async (store) => {
      await runOne(store, 'p1', {});
      await runOne(store, 'p2', {});
      await store.forget(['task-0001']);
      expect(await pastOf(store)).toMatchObject({ root: 'task-0001', history: [{ prompt: 'p2' }] });
      await store.forget(['task-0002', 'task-0003']);
      expect(await pastOf(store)).toMatchObject({ root: 'task-0004', history: [] });
    });

    it('forgets a session that the agent does not know any more', async (store) => {
      await runOne(store, 'p1', { sessionId: 's-old' });
      await runOne(store, 'p2', { sessionId: 's-gone' });
      await store.submit([talk({ prompt: 'now' })]);
      const first = await claimOne(store);
      expect(first.past?.sessionId).toBe('s-gone');
      await store.release(first.token, { ...BACK, sessionId: 's-gone', goneSession: 's-gone' });
      const second = await claimOne(store);
      expect([second.task.sessionId, second.past?.sessionId]).toEqual([null, 's-old']);
      expect((await store.get('task-0002'))?.sessionId).toBe(null);
      await store.release(second.token, { ...BACK, sessionId: 's-new', goneSession: 's-old' });
      const third = await claimOne(store);
      expect([third.task.sessionId, third.past?.sessionId]).toEqual(['s-new', 's-new']);
    });

    it('leads to what its session has counted', async (store) => {
      await store.submit([talk(), talk()]);
      const first = await claimOne(store);
      const sessionTotals = { costUsd: 0.5, tokens: null };
      await store.finish(first.token, { ...DONE, charge: charge({ sessionTotals }) });
      expect((await claimOne(store)).baseline).toEqual(sessionTotals);
    });
  });

  describe(`${name}: feedback`, () => {
    it('reaches the next attempts until there is newer, or the task is queued anew', async (store) => {
      await store.submit([newTask()]);
      const next = async (feedback: string | null) => {
        const { token, feedback: told } = await claimOne(store);
        await store.release(token, { ...BACK, feedback });
        return told;
      };
      expect(await next('tests fail')).toBe(null);
      expect(await next(null)).toBe('tests fail');
      expect(await next('lint\0 fails')).toBe('tests fail');
      expect(await next(null)).toBe('lint\u{fffd} fails');
      await store.requestCancel('task-0001');
      await store.requeue('task-0001');
      expect(await next('é'.repeat(20_000))).toBe(null);
      const cut = (await next(null)) ?? '';
      const note = '\n[The rest was left out: it is longer than 16 KiB.]';
      expect([Buffer.byteLength(cut) <= 16_384, cut.endsWith(`é${note}`)]).toEqual([true, true]);
      expect(Buffer.byteLength(cut) > 16_380).toBe(true);
    });
  });
}
