import {
  BACK,
  claim,
  claimOne,
  codeOf,
  DONE,
  idsOf,
  LEASE_MS,
  newTask,
  type TaskStoreEngine,
  type TestTools,
  withStore,
} from './suite-harness.js';
import { taskChargesSuite } from './task-charges-suite.js';
import { taskConversationsSuite } from './task-conversations-suite.js';
import { taskRecordsSuite } from './task-records-suite.js';

/** What every `TaskStore` promises, as tests. Call it once per engine. */
export function taskStoreSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;
  const it = withStore(engine, tools);

  describe(`${name}: submit`, () => {
    it('numbers tasks from task-0001 and keeps every field', async (store, clock) => {
      const fields = {
        prompt: '--help "x"\n$(y) ü 🎉',
        agent: 'reviewer',
        priority: -3,
        timeoutMs: 5,
        key: 'k',
        maxAttempts: 7,
        cwd: '/tmp',
        metadata: { a: [1, { b: null }], c: 'd\0\ud800' },
        source: 'rule',
        ruleId: 'r',
        causedBy: 'e',
      } as const;
      const runAt = clock.now() + 1000;
      const task = newTask({ ...fields, runAt, waitReason: 'delay' });
      expect(await store.submit([task, newTask()])).toEqual([
        { id: 'task-0001', state: 'queued', deduped: false },
        { id: 'task-0002', state: 'queued', deduped: false },
      ]);
      expect(await store.get('task-0001')).toMatchObject({
        ...fields,
        state: 'queued',
        createdAt: new Date(clock.now()).toISOString(),
        runAt: new Date(runAt).toISOString(),
        waitReason: 'delay',
        attempt: 0,
        startedAt: null,
        result: null,
        usage: null,
      });
    });

    it('keeps a prompt of 10 MB', async (store) => {
      const prompt = 'äb'.repeat(3_500_000);
      await store.submit([newTask({ prompt })]);
      expect((await claimOne(store)).task.prompt === prompt).toBe(true);
    });

    it('refuses what cannot be kept, and only that', async (store) => {
      const deep: Record<string, unknown> = {};
      for (let level = 0, at = deep; level < 50_000; level += 1) {
        const next = {};
        at['x'] = next;
        at = next;
      }
      const bad = [
        newTask({ metadata: deep }),
        newTask({ prompt: 'a\0b' }),
        newTask({ metadata: { n: 1n } }),
      ];
      const codes = await Promise.all([
        ...bad.map((task) => codeOf(store.submit([newTask(), task]))),
        codeOf(store.submit([newTask()])),
      ]);
      expect(codes).toEqual(['INVALID_PARAMS', 'INVALID_PARAMS', 'INVALID_PARAMS', 'no error']);
      expect((await store.counts()).total).toBe(1);
    });

    it('turns half a surrogate pair into U+FFFD', async (store) => {
      await store.submit([newTask({ prompt: 'a\ud800b' })]);
      expect((await store.get('task-0001'))?.prompt).toBe('a\u{fffd}b');
    });

    it('answers a key in use with the task that has it', async (store) => {
      const keyed = newTask({ key: 'k' });
      const answers = await Promise.all(Array.from({ length: 20 }, () => store.submit([keyed, keyed])));
      expect(answers.flat().filter(({ deduped }) => !deduped).length).toBe(1);
      expect(new Set(answers.flat().map(({ id }) => id)).size).toBe(1);
      const { token } = await claimOne(store);
      expect(await store.submit([keyed])).toEqual([{ id: 'task-0001', state: 'running', deduped: true }]);
      await store.finish(token, DONE);
      expect((await store.submit([keyed]))[0]).toMatchObject({ deduped: false });
    });
  });

  describe(`${name}: once`, () => {
    it('stores a task of that name once for ever, whatever became of it', async (store) => {
      const job = newTask({ once: 'job 1', prompt: 'first' });
      const answers = await Promise.all(Array.from({ length: 20 }, () => store.submit([job, job])));
      expect(answers.flat().filter(({ deduped }) => !deduped).length).toBe(1);
      const again = async () => (await store.submit([{ ...job, prompt: 'second' }]))[0];
      const { token } = await claimOne(store);
      expect(await again()).toEqual({ id: 'task-0001', state: 'running', deduped: true });
      await store.finish(token, { ...DONE, state: 'failed' });
      expect(await again()).toEqual({ id: 'task-0001', state: 'failed', deduped: true });
      await store.requeue('task-0001');
      expect(await again()).toEqual({ id: 'task-0001', state: 'queued', deduped: true });
      expect((await store.counts()).total).toBe(1);
      // As long as the task is kept.
      await store.requestCancel('task-0001');
      await store.forget(['task-0001']);
      expect(await again()).toEqual({ id: 'task-0002', state: 'queued', deduped: false });
    });

    it('is looked at before the key', async (store) => {
      await store.submit([newTask({ once: 'a', key: 'k' }), newTask({ once: 'b', key: 'l' })]);
      const submitted = await store.submit([
        newTask({ once: 'b', key: 'k' }),
        newTask({ once: 'c', key: 'k' }),
        newTask({ once: 'c', key: 'm' }),
      ]);
      // What the key answered was never submitted under its own name.
      expect(submitted.map(({ id, deduped }) => [id, deduped])).toEqual([
        ['task-0002', true],
        ['task-0001', true],
        ['task-0003', false],
      ]);
      expect(await codeOf(store.submit([newTask({ once: 'a\0b' })]))).toBe('INVALID_PARAMS');
    });
  });

  describe(`${name}: launch`, () => {
    it('comes along with every claim, and with nothing else', async (store) => {
      const launch = {
        event: { text: 'two\nlines \0 \ud800', list: [1, null] },
        env: { TOKEN: '${TOKEN}' },
        command: ['./do', '--now', ''],
      };
      await store.submit([newTask({ launch })]);
      const first = await claimOne(store);
      expect(first.launch).toEqual(launch);
      const [taken] = await store.reap({ owner: 'you', leaseMs: 1, limit: 5, othersAreDead: true });
      expect(taken?.launch).toEqual(launch);
      const stored = await store.get('task-0001');
      expect((await store.list({ limit: 5 })).tasks).toEqual([stored]);
      expect(taken?.task).toEqual(stored);
      expect(Object.keys(stored ?? {}).filter((field) => ['launch', 'once'].includes(field))).toEqual([]);
      await store.finish(taken?.token ?? '', DONE);
      await store.requeue('task-0001');
      expect((await claimOne(store)).launch).toEqual(launch);
    });

    it('is null where none was given, and refused where it is no JSON', async (store) => {
      await store.submit([newTask()]);
      expect((await claimOne(store)).launch).toBe(null);
      const bad = newTask({ launch: { event: { n: 1n } } });
      expect(await codeOf(store.submit([bad]))).toBe('INVALID_PARAMS');
    });
  });

  describe(`${name}: claim`, () => {
    it('takes the highest priority first, then the oldest', async (store) => {
      await store.submit([0, 5, 0, 5, -1].map((priority) => newTask({ priority })));
      const claims = await claim(store, 10);
      expect(idsOf(claims.map(({ task }) => task))).toEqual([
        'task-0002',
        'task-0004',
        'task-0001',
        'task-0003',
        'task-0005',
      ]);
      expect(await claim(store)).toEqual([]);
      expect(await codeOf(claim(store, -1))).toBe('INVALID_PARAMS');
    });

    it('passes over agents that take no more work', async (store) => {
      await store.submit([newTask({ agent: 'a' }), newTask(), newTask({ agent: 'b' })]);
      expect((await claim(store, 10, ['a', null])).map(({ task }) => task.agent)).toEqual(['b']);
      expect((await claim(store, 10, ['a'])).map(({ task }) => task.agent)).toEqual([null]);
      expect((await claim(store, 10)).map(({ task }) => task.agent)).toEqual(['a']);
    });

    it('has slots of its own for an agent that is claimed apart', async (store, clock) => {
      const soon = { agent: 'x', runAt: clock.now() + 5, priority: 9 };
      await store.submit([
        ...['x', 'x', null, 'x', 'a'].map((agent) => newTask({ agent })),
        newTask({ ...soon, waitReason: 'delay' }),
      ]);
      const take = async (limit: number, own: number, exceptAgents: (string | null)[] = []) => {
        const apart = { agent: 'x', limit: own };
        const claims = await store.claim({ owner: 'me', leaseMs: LEASE_MS, limit, apart, exceptAgents });
        return idsOf(claims.map(({ task }) => task));
      };
      expect(await codeOf(take(1, -1))).toBe('INVALID_PARAMS');
      expect(await take(5, 0, ['a'])).toEqual(['task-0003']);
      expect(await take(0, 2, ['x', null])).toEqual(['task-0001', 'task-0002']);
      clock.advance(5);
      expect(await take(5, 1)).toEqual(['task-0005', 'task-0006']);
      expect(await take(5, 5)).toEqual(['task-0004']);
    });

    it('finds the best task among many agents', async (store) => {
      await store.submit(['x', '', null, 'é', 'x'].map((agent, priority) => newTask({ agent, priority })));
      const claims = await claim(store, 4, ['é']);
      expect(claims.map(({ task }) => [task.agent, task.priority])).toEqual([
        ['x', 4],
        [null, 2],
        ['', 1],
        ['x', 0],
      ]);
    });

    it('leaves a delayed task until its time, then by its priority', async (store, clock) => {
      const runAt = clock.now() + 500;
      await store.submit([newTask({ runAt, priority: 9, waitReason: 'delay' }), newTask()]);
      expect(await store.nextRunAt()).toBe(runAt);
      clock.advance(499);
      expect(idsOf((await claim(store, 1)).map(({ task }) => task))).toEqual(['task-0002']);
      expect(await claim(store)).toEqual([]);
      clock.advance(1);
      expect((await claimOne(store)).task).toMatchObject({ id: 'task-0001', runAt: null, waitReason: null });
      expect(await store.nextRunAt()).toBe(null);
    });

    it('wakes tasks that wait, the best first, and no others', async (store, clock) => {
      const runAt = clock.now() + 500;
      await store.submit([
        newTask({ runAt, waitReason: 'budget', ruleId: 'r' }),
        newTask({ runAt, waitReason: 'budget', ruleId: 'r', priority: 1 }),
        newTask({ runAt, waitReason: 'delay', ruleId: 'r' }),
        newTask({ runAt, waitReason: 'budget' }),
      ]);
      expect(await store.wake({ waitReason: 'budget', ruleId: 'none' })).toBe(0);
      expect(await store.wake({ waitReason: 'budget', ruleId: 'r', limit: 1 })).toBe(1);
      expect(await store.get('task-0002')).toMatchObject({ state: 'queued', runAt: null, waitReason: null });
      expect(await store.get('task-0001')).toMatchObject({ waitReason: 'budget' });
      expect(await store.wake({ waitReason: 'budget' })).toBe(2);
      expect(idsOf((await claim(store, 9)).map(({ task }) => task))).toEqual([
        'task-0002',
        'task-0001',
        'task-0004',
      ]);
      expect(await store.wake({ waitReason: 'budget' })).toBe(0);
      expect(await store.nextRunAt()).toBe(runAt);
    });

    it('begins an attempt with an id of its own', async (store) => {
      await store.submit([newTask({ retries: 2 })]);
      const first = await claimOne(store);
      expect(first).toMatchObject({ retriesLeft: 2, task: { attempt: 1, state: 'running' } });
      await store.release(first.token, { ...BACK, usesRetry: true, error: 'broke' });
      expect(await store.get('task-0001')).toMatchObject({ state: 'queued', error: 'broke', attempt: 1 });
      const second = await claimOne(store);
      expect(second).toMatchObject({ retriesLeft: 1, task: { attempt: 2, error: null } });
      expect(second.attemptId === first.attemptId).toBe(false);
      await store.release(second.token, { ...BACK, countsAsAttempt: false });
      expect((await store.get('task-0001'))?.attempt).toBe(1);
    });
  });

  describe(`${name}: leases`, () => {
    it('finishes once, and keeps the outcome', async (store, clock) => {
      await store.submit([newTask()]);
      const { token } = await claimOne(store);
      clock.advance(10);
      expect(await store.finish(token, { ...DONE, result: 'nul \0' })).toBe(true);
      expect(await store.finish(token, { ...DONE, state: 'failed' })).toBe(false);
      expect(await store.release(token, BACK)).toBe(false);
      const { charge: _, ...end } = DONE;
      expect(await store.get('task-0001')).toMatchObject({
        ...end,
        result: 'nul \u{fffd}',
        pid: null,
        completedAt: new Date(clock.now()).toISOString(),
      });
    });

    it('records signs of life', async (store) => {
      await store.submit([newTask()]);
      const { token } = await claimOne(store);
      await store.heartbeat([{ token, pid: 77, sessionId: 's' }], LEASE_MS);
      expect(await store.heartbeat([{ token, outputBytes: 5 }, { token: 'made up' }], LEASE_MS)).toEqual([
        { token, held: true, cancelRequested: false },
        { token: 'made up', held: false, cancelRequested: false },
      ]);
      expect(await store.get('task-0001')).toMatchObject({ pid: 77, sessionId: 's', outputBytes: 5 });
    });

    it('fences the former holder when a lease is taken over', async (store, clock) => {
      await store.submit([newTask()]);
      const old = await claimOne(store);
      const request = { owner: 'you', leaseMs: LEASE_MS, limit: 10, othersAreDead: false };
      expect(await store.reap(request)).toEqual([]);
      clock.advance(LEASE_MS - 1);
      await store.heartbeat([{ token: old.token }], LEASE_MS);
      clock.advance(LEASE_MS - 1);
      expect(await store.reap(request)).toEqual([]);
      clock.advance(1);
      const [taken] = await store.reap(request);
      expect(taken).toMatchObject({ attemptId: old.attemptId, task: { attempt: 1, state: 'running' } });
      expect(await store.heartbeat([{ token: old.token }], LEASE_MS)).toMatchObject([{ held: false }]);
      expect(await store.finish(old.token, DONE)).toBe(false);
      expect(await store.release(old.token, BACK)).toBe(false);
      expect(await store.finish(taken?.token ?? '', DONE)).toBe(true);
    });

    it('counts the holders in a row that were never steady', async (store) => {
      await store.submit([newTask()]);
      const { token, takeovers } = await claimOne(store);
      expect(takeovers).toBe(0);
      const takeOver = async (owner: string) => {
        const [taken] = await store.reap({ owner, leaseMs: LEASE_MS, limit: 1, othersAreDead: true });
        return taken ?? { token: '', takeovers: -1 };
      };
      expect((await takeOver('b')).takeovers).toBe(1);
      expect(await store.heartbeat([{ token, steady: true }], LEASE_MS)).toMatchObject([{ held: false }]);
      const third = await takeOver('c');
      expect(third.takeovers).toBe(2);
      await store.heartbeat([{ token: third.token }, { token: third.token, steady: false }], LEASE_MS);
      const fourth = await takeOver('d');
      expect(fourth.takeovers).toBe(3);
      await store.heartbeat([{ token: fourth.token, steady: true }], LEASE_MS);
      const fifth = await takeOver('e');
      expect(fifth.takeovers).toBe(1);
      await store.release(fifth.token, { ...BACK, countsAsAttempt: false });
      expect((await claimOne(store)).takeovers).toBe(1);
      const sixth = await takeOver('f');
      expect(sixth.takeovers).toBe(2);
      await store.release(sixth.token, BACK);
      expect((await claimOne(store)).takeovers).toBe(0);
      const seventh = await takeOver('g');
      await store.finish(seventh.token, DONE);
      await store.requeue('task-0001');
      expect((await claimOne(store)).takeovers).toBe(0);
    });

    it('takes over at once what dead owners hold', async (store) => {
      await store.submit([newTask(), newTask()]);
      await claim(store, 2);
      const request = { leaseMs: LEASE_MS, limit: 10, othersAreDead: true };
      expect(await store.reap({ ...request, owner: 'me' })).toEqual([]);
      expect((await store.reap({ ...request, owner: 'you', limit: 1 })).length).toBe(1);
      expect((await store.reap({ ...request, owner: 'you' })).length).toBe(1);
      expect(await store.reap({ ...request, owner: 'you' })).toEqual([]);
    });

    it('never honours the token of an earlier attempt', async (store) => {
      await store.submit([newTask()]);
      const first = await claimOne(store);
      await store.release(first.token, BACK);
      await claimOne(store);
      expect(await store.finish(first.token, DONE)).toBe(false);
      expect((await store.get('task-0001'))?.state).toBe('running');
    });
  });

  taskRecordsSuite(name, engine, tools);
  taskChargesSuite(name, engine, tools);
  taskConversationsSuite(name, engine, tools);
}
