import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { isFinal } from '#aiwgd/protocol/task.js';
import type { Claim, TaskStore } from '#aiwgd/tasks/task-store.js';
import { FakeClock, MemoryTaskStore, newTask } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

const LEASE_MS = 100;
const agent = fc.constantFrom(null, 'a', 'b');
const index = fc.nat(12);
const maybeSoon = fc.option(fc.nat(200));

const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      agent,
      priority: fc.integer({ min: -1, max: 1 }),
      key: fc.option(fc.constantFrom('k', 'l')),
      once: fc.option(fc.constantFrom('o', 'p', 'q'), { freq: 1 }),
      launch: fc.option(fc.record({ command: fc.array(fc.constantFrom('do', 'it'), { maxLength: 2 }) })),
      inMs: maybeSoon,
      retries: fc.nat(1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      limit: fc.nat(3),
      except: fc.subarray([null, 'a', 'b']),
      apart: fc.option(fc.record({ agent: fc.constantFrom('a', 'b'), limit: fc.nat(2) }), { nil: undefined }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('finish' as const),
      index,
      state: fc.constantFrom('completed' as const, 'failed' as const, 'timeout' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('release' as const),
      index,
      inMs: maybeSoon,
      usesRetry: fc.boolean(),
      countsAsAttempt: fc.boolean(),
    }),
  },
  fc.record({
    do: fc.constant('heartbeat' as const),
    index,
    pid: fc.option(fc.nat(9), { nil: undefined }),
    outputBytes: fc.option(fc.nat(9), { nil: undefined }),
    steady: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('reap' as const),
    owner: fc.constantFrom('me', 'you'),
    othersAreDead: fc.boolean(),
  }),
  fc.record({ do: fc.constant('cancel' as const), index }),
  fc.record({ do: fc.constant('requeue' as const), index }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.nat(150) }),
  fc.record({ do: fc.constant('forget' as const), ago: fc.nat(300), limit: fc.nat(2) }),
  fc.record({
    do: fc.constant('list' as const),
    state: fc.constantFrom(undefined, 'queued' as const, 'completed' as const),
    agent: fc.constantFrom(undefined, 'a'),
    limit: fc.integer({ min: 1, max: 4 }),
  }),
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

/** A store and the tokens that it gave out, in order, so that a command can name one by its number. */
class Driver {
  readonly #clock: FakeClock;
  readonly #store: TaskStore;
  readonly #claims: Claim[] = [];

  constructor(clock: FakeClock, store: TaskStore) {
    this.#clock = clock;
    this.#store = store;
  }

  #in(ms: number | null): number | null {
    return ms === null ? null : this.#clock.now() + ms;
  }

  #token(at: number): string {
    return this.#claims.length === 0 ? 'none' : this.#claims[at % this.#claims.length]!.token;
  }

  #took(claims: Claim[]): unknown {
    this.#claims.push(...claims);
    return claims.map(({ task, launch, retriesLeft, takeovers }) => ({
      task,
      launch,
      retriesLeft,
      takeovers,
    }));
  }

  async #execute(c: Command): Promise<unknown> {
    const store = this.#store;
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the other half does the rest
    switch (c.do) {
      case 'submit':
        return store.submit([
          newTask({
            agent: c.agent,
            priority: c.priority,
            key: c.key,
            once: c.once,
            launch: c.launch,
            retries: c.retries,
            runAt: this.#in(c.inMs),
          }),
        ]);
      case 'claim':
        return this.#took(
          await store.claim({
            owner: 'me',
            limit: c.limit,
            leaseMs: LEASE_MS,
            exceptAgents: c.except,
            ...(c.apart && { apart: c.apart }),
          }),
        );
      case 'finish':
        return store.finish(this.#token(c.index), {
          state: c.state,
          result: 'r',
          error: null,
          exitCode: 0,
          signal: null,
          sessionId: 's',
          costUsd: 0.5,
          usage: { n: 1 },
          outputBytes: 3,
        });
      case 'release':
        return store.release(this.#token(c.index), {
          runAt: this.#in(c.inMs),
          waitReason: 'retry',
          error: 'e',
          sessionId: 's',
          outputBytes: 2,
          usesRetry: c.usesRetry,
          countsAsAttempt: c.countsAsAttempt,
        });
      case 'heartbeat': {
        const { pid, outputBytes } = c;
        const update = {
          token: this.#token(c.index),
          steady: c.steady,
          ...(pid === undefined ? {} : { pid }),
          ...(outputBytes === undefined ? {} : { outputBytes }),
        };
        return (await store.heartbeat([update], LEASE_MS)).map(({ held, cancelRequested }) => ({
          held,
          cancelRequested,
        }));
      }
      default:
        return this.#executeRest(c);
    }
  }

  async #executeRest(c: Command): Promise<unknown> {
    const store = this.#store;
    const id = 'index' in c ? `task-000${c.index % 10}` : '';
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the other half does the rest
    switch (c.do) {
      case 'reap':
        return this.#took(
          await store.reap({ owner: c.owner, leaseMs: LEASE_MS, limit: 3, othersAreDead: c.othersAreDead }),
        );
      case 'cancel':
        return store.requestCancel(id);
      case 'requeue':
        return store.requeue(id);
      case 'forget': {
        const ids = await store.endedBefore(this.#clock.now() - c.ago, c.limit);
        const since = await store.endedSince({ at: this.#clock.now() - c.ago, id: ids[0] ?? id }, c.limit);
        return [ids, since, await store.forget([...ids, 'task-0001'])];
      }
      case 'list':
        return store.list({
          limit: c.limit,
          ...(c.state && { state: c.state }),
          ...(c.agent && { agent: c.agent }),
        });
      default:
        return undefined;
    }
  }

  async run(c: Command): Promise<unknown> {
    try {
      return await this.#execute(c);
    } catch (error) {
      return (error as { code: unknown }).code;
    }
  }
}

it('does the same on disk as in memory, whatever is asked of it, and always knows its counts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 80, size: 'max' }), async (commands) => {
      const clock = new FakeClock();
      const memory = new MemoryTaskStore(clock);
      const { store } = await openStore(temporaryFolder(), clock);
      const drivers = [new Driver(clock, memory), new Driver(clock, store)] as const;
      try {
        for (const c of commands) {
          if (c.do === 'advance') clock.advance(c.ms);
          expect(await drivers[1].run(c), JSON.stringify(c)).toEqual(await drivers[0].run(c));
        }
        expect(await store.nextRunAt()).toBe(await memory.nextRunAt());
        const { tasks } = await store.list({ limit: 1000 });
        expect(tasks).toEqual((await memory.list({ limit: 1000 })).tasks);
        const counts = await store.counts();
        expect(counts.total).toBe(tasks.length);
        for (const { state } of tasks)
          expect(counts[state]).toBe(tasks.filter((task) => task.state === state).length);
        for (const task of tasks) expect(task.completedAt !== null).toBe(isFinal(task.state));
      } finally {
        await store[Symbol.asyncDispose]();
      }
    }),
    { numRuns: 25 },
  );
});

it('runs every task in order of priority, then of submission', async () => {
  const { store } = await openStore(temporaryFolder(), new FakeClock());
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: -2, max: 2 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 7 }),
      async (priorities, limit) => {
        const ids = (await store.submit(priorities.map((priority) => newTask({ priority })))).map(
          ({ id }) => id,
        );
        const expected = ids.toSorted(
          (a, b) =>
            priorities[ids.indexOf(b)]! - priorities[ids.indexOf(a)]! || ids.indexOf(a) - ids.indexOf(b),
        );
        const claimed: string[] = [];
        for (;;) {
          const claims = await store.claim({ owner: 'me', limit, leaseMs: LEASE_MS });
          if (claims.length === 0) break;
          claimed.push(...claims.map(({ task }) => task.id));
        }
        expect(claimed).toEqual(expected);
      },
    ),
    { numRuns: 15 },
  );
});
