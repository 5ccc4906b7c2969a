import type { Claim, EndedTask, StoredTask } from '../tasks/task-store.js';
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

/** The half of the suite that is about what is kept: cancel, requeue, list, counts, forget, import. */
export function taskRecordsSuite(name: string, engine: TaskStoreEngine, tools: TestTools): void {
  const { describe, expect } = tools;
  const it = withStore(engine, tools);

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

  describe(`${name}: forget and import`, () => {
    it('forgets what ended before a time, oldest first', async (store, clock) => {
      await store.submit([newTask(), newTask(), newTask(), newTask()]);
      for (const { token } of await claim(store, 3)) {
        await store.finish(token, DONE);
        clock.advance(10);
      }
      const before = clock.now() - 10;
      expect(await store.endedBefore(before, 1)).toEqual(['task-0001']);
      expect(await store.endedBefore(before, 10)).toEqual(['task-0001', 'task-0002']);
      // Not one that was queued anew since, one that has not ended, or one that is not there.
      await store.requeue('task-0002');
      expect(await store.forget(['task-0001', 'task-0002', 'task-0004', 'task-0099', 'none'])).toBe(1);
      expect(await store.forget(['task-0001'])).toBe(0);
      expect(await store.endedBefore(before, 10)).toEqual([]);
      expect(await store.get('task-0001')).toBe(undefined);
      expect((await store.counts()).total).toBe(3);
      expect((await store.submit([newTask()]))[0]?.id).toBe('task-0005');
    });

    it('tells which tasks ended since a time, the earliest first, page by page', async (store, clock) => {
      await store.submit([newTask(), newTask(), newTask(), newTask()]);
      const [first, second, third] = (await claim(store, 3)) as [Claim, Claim, Claim];
      await store.finish(third.token, DONE);
      clock.advance(10);
      const since = clock.now();
      await Promise.all([
        store.finish(second.token, { ...DONE, state: 'failed' }),
        store.finish(first.token, DONE),
      ]);
      clock.advance(10);
      await store.requestCancel('task-0004');
      const ends = [
        { id: 'task-0001', state: 'completed', at: since },
        { id: 'task-0002', state: 'failed', at: since },
        { id: 'task-0004', state: 'cancelled', at: since + 10 },
      ];
      expect(await store.endedSince({ at: since }, 10)).toEqual(ends);
      expect(await store.endedSince({ at: since - 10 }, 1)).toEqual([
        { id: 'task-0003', state: 'completed', at: since - 10 },
      ]);
      const paged: EndedTask[] = [];
      for (let page = await store.endedSince({ at: since }, 1); page.length > 0; ) {
        paged.push(...page);
        page = await store.endedSince(paged.at(-1) as EndedTask, 1);
      }
      expect(paged).toEqual(ends);
      expect(await codeOf(store.endedSince({ at: 0 }, 1001))).toBe('INVALID_PARAMS');
      // One that is queued anew has not ended.
      await store.requeue('task-0002');
      expect((await store.endedSince({ at: since }, 10)).map(({ id }) => id)).toEqual([
        'task-0001',
        'task-0004',
      ]);
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
