import { AiwgdError } from '../protocol/errors.js';
import type { NewTask, Outcome, Release, StoredTask, TaskStore } from '../tasks/task-store.js';
import { FakeClock } from './fake-clock.js';

/** The part of vitest (or of a test runner like it) that the suite uses. */
export interface TestTools {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  expect(value: unknown): {
    toBe(expected: unknown): void;
    toEqual(expected: unknown): void;
    toMatchObject(expected: object): void;
  };
}

export interface TaskStoreEngine {
  /** Opens an empty store that takes its time from `clock`; the suite disposes of it. */
  open(options: { clock: FakeClock }): Promise<TaskStore>;
}

/** A task with defaults, for tests. */
export function newTask(fields: Partial<NewTask> = {}): NewTask {
  return {
    prompt: 'say hello',
    agent: null,
    priority: 0,
    timeoutMs: null,
    key: null,
    runAt: null,
    waitReason: null,
    maxAttempts: 3,
    retries: 0,
    cwd: null,
    metadata: {},
    source: 'rpc',
    ruleId: null,
    causedBy: null,
    ...fields,
  };
}

const DONE: Outcome = {
  state: 'completed',
  result: 'hello',
  error: null,
  exitCode: 0,
  signal: null,
  sessionId: 's-1',
  costUsd: 0.25,
  usage: { input_tokens: 3 },
  outputBytes: 6,
};

const BACK: Release = {
  runAt: null,
  waitReason: null,
  error: null,
  sessionId: null,
  outputBytes: 0,
  usesRetry: false,
  countsAsAttempt: true,
};

const LEASE_MS = 60_000;

/** What every `TaskStore` promises, as tests. Call it once per engine. */
export function taskStoreSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;

  /** One test with a store of its own. */
  function it(title: string, body: (store: TaskStore, clock: FakeClock) => Promise<void>): void {
    tools.it(title, async () => {
      const clock = new FakeClock();
      const store = await engine.open({ clock });
      try {
        await body(store, clock);
      } finally {
        await store[Symbol.asyncDispose]();
      }
    });
  }

  const claim = (store: TaskStore, limit = 1, exceptAgents: (string | null)[] = []) =>
    store.claim({ owner: 'me', limit, leaseMs: LEASE_MS, exceptAgents });

  async function claimOne(store: TaskStore) {
    const [claimed] = await claim(store);
    if (claimed === undefined) throw new Error('nothing to claim');
    return claimed;
  }

  async function codeOf(work: Promise<unknown>): Promise<string> {
    try {
      await work;
      return 'no error';
    } catch (error) {
      return error instanceof AiwgdError ? error.code : String(error);
    }
  }

  const idsOf = (tasks: readonly { id: string }[]) => tasks.map(({ id }) => id);

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
      expect(await store.get('task-0001')).toMatchObject({
        ...DONE,
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

  describe(`${name}: cancel and requeue`, () => {
    it('cancels a queued task at once and asks the holder of a running one', async (store) => {
      await store.submit([newTask(), newTask()]);
      const { token } = await claimOne(store);
      expect(await store.requestCancel('task-0001')).toBe('running');
      expect(await store.requestCancel('task-0002')).toBe('cancelled');
      expect(await store.requestCancel('task-0003')).toBe(undefined);
      expect(await store.requestCancel('task-00001')).toBe(undefined);
      expect(await store.heartbeat([{ token }], LEASE_MS)).toMatchObject([
        { held: true, cancelRequested: true },
      ]);
      expect(await claim(store)).toEqual([]);
      await store.finish(token, { ...DONE, state: 'cancelled' });
      expect(await store.requestCancel('task-0001')).toBe('cancelled');
    });

    it('does not run again what was to be cancelled', async (store, clock) => {
      await store.submit([newTask()]);
      const { token } = await claimOne(store);
      await store.requestCancel('task-0001');
      expect(await store.release(token, { ...BACK, runAt: clock.now() + 5 })).toBe(true);
      expect(await store.get('task-0001')).toMatchObject({ state: 'cancelled', runAt: null });
    });

    it('queues an ended task anew', async (store) => {
      await store.submit([newTask({ retries: 1 })]);
      const { token } = await claimOne(store);
      expect(await store.requeue('task-0001')).toBe(false);
      await store.finish(token, DONE);
      expect(await store.requeue('task-0001')).toBe(true);
      expect(await store.requeue('task-0009')).toBe(undefined);
      const fresh = { state: 'queued', attempt: 0, result: null, exitCode: null, completedAt: null };
      expect(await store.get('task-0001')).toMatchObject({
        ...fresh,
        sessionId: null,
        costUsd: null,
        usage: null,
      });
      expect(await claimOne(store)).toMatchObject({ retriesLeft: 1, task: { attempt: 1 } });
      expect(await store.finish(token, DONE)).toBe(false);
    });

    it('does not let two active tasks have one key', async (store) => {
      await store.submit([newTask({ key: 'k' })]);
      await store.requestCancel('task-0001');
      await store.submit([newTask({ key: 'k' })]);
      expect(await codeOf(store.requeue('task-0001'))).toBe('CONFLICT');
    });
  });

  describe(`${name}: list and counts`, () => {
    it('pages newest first, by state and agent', async (store) => {
      await store.submit(
        Array.from({ length: 9 }, (_, index) => newTask({ agent: index % 2 ? 'odd' : null })),
      );
      await claim(store, 4);
      const all = async (query: { state?: 'running' | 'queued'; agent?: string }): Promise<StoredTask[]> => {
        const found: StoredTask[] = [];
        let cursor: string | null = '999';
        while (cursor !== null) {
          const page = await store.list({ ...query, limit: 2, cursor });
          found.push(...page.tasks);
          cursor = page.nextCursor;
        }
        return found;
      };
      expect((await all({})).map(({ id }) => id)).toEqual(
        [9, 8, 7, 6, 5, 4, 3, 2, 1].map((seq) => `task-000${seq}`),
      );
      expect(idsOf(await all({ state: 'running' }))).toEqual([
        'task-0004',
        'task-0003',
        'task-0002',
        'task-0001',
      ]);
      expect(idsOf(await all({ agent: 'odd' }))).toEqual([
        'task-0008',
        'task-0006',
        'task-0004',
        'task-0002',
      ]);
      expect(idsOf(await all({ agent: 'odd', state: 'queued' }))).toEqual(['task-0008', 'task-0006']);
      expect((await store.list({ limit: 9 })).nextCursor).toBe(null);
    });

    it('refuses a limit or cursor that it never gave', async (store) => {
      for (const query of [{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { limit: 5, cursor: 'x' }]) {
        expect(await codeOf(store.list(query))).toBe('INVALID_PARAMS');
      }
    });

    it('counts by state', async (store) => {
      await store.submit([newTask(), newTask(), newTask()]);
      const { token } = await claimOne(store);
      await store.finish(token, { ...DONE, state: 'timeout' });
      await claimOne(store);
      const counts = { total: 3, queued: 1, running: 1, completed: 0, failed: 0, cancelled: 0, timeout: 1 };
      expect(await store.counts()).toEqual(counts);
    });
  });

  describe(`${name}: retain and import`, () => {
    it('forgets what ended before a time, oldest first', async (store, clock) => {
      await store.submit([newTask(), newTask(), newTask(), newTask()]);
      for (const { token } of await claim(store, 3)) {
        await store.finish(token, DONE);
        clock.advance(10);
      }
      const before = clock.now() - 10;
      expect(await store.retain(before, 1)).toEqual(['task-0001']);
      expect(await store.retain(before, 10)).toEqual(['task-0002']);
      expect(await store.retain(before, 10)).toEqual([]);
      expect(await store.get('task-0001')).toBe(undefined);
      expect((await store.counts()).total).toBe(2);
      expect((await store.submit([newTask()]))[0]?.id).toBe('task-0005');
    });

    it('takes in tasks of another store with their ids, task-0000 too', async (store, clock) => {
      await store.submit([newTask()]);
      const own = await store.get('task-0001');
      if (own === undefined) throw new Error('not stored');
      const at = new Date(clock.now()).toISOString();
      const ended: StoredTask = {
        ...own,
        id: 'task-0000',
        state: 'failed',
        error: 'e',
        completedAt: at,
        usage: { t: 1 },
      };
      const running: StoredTask = { ...own, id: 'task-0042', state: 'running', attempt: 1 };
      expect(await store.import([ended, running, own])).toBe(2);
      expect(await store.get('task-0000')).toEqual(ended);
      const [taken] = await store.reap({ owner: 'me', leaseMs: 1, limit: 5, othersAreDead: false });
      expect(taken?.task.id).toBe('task-0042');
      expect((await store.submit([newTask()]))[0]?.id).toBe('task-0043');
      expect(await codeOf(store.import([{ ...own, id: '../x' }]))).toBe('INVALID_PARAMS');
    });
  });

  describe(`${name}: end`, () => {
    it('refuses work after it was closed', async (store) => {
      await store[Symbol.asyncDispose]();
      expect(await codeOf(store.submit([newTask()]))).toBe('STORAGE_FAILED');
      expect(await codeOf(store.counts())).toBe('STORAGE_FAILED');
    });
  });
}
