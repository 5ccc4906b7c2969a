import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { SPEND_KEYS } from '#aiwgd/protocol/spend.js';
import { isFinal } from '#aiwgd/protocol/task.js';
import { type Charge, type Claim, type StoredTask, type TaskStore } from '#aiwgd/tasks/task-store.js';
import { BACK, charge, DONE, FakeClock, MemoryTaskStore, newTask } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

const LEASE_MS = 100;
const agent = fc.constantFrom(null, 'a', 'b');
const index = fc.nat(12);
const maybeSoon = fc.option(fc.nat(200));

const session = fc.option(fc.constantFrom('s', 't'), { freq: 1 });
/** Exact in binary, so that sums do not depend on their order. */
const dollars = fc.option(fc.constantFrom(0, 0.25, 0.5, 2), { freq: 3 });
const cost = fc.option(
  fc.record({ same: fc.boolean(), agent: fc.constantFrom('a', 'b'), costUsd: dollars, total: dollars }),
  { freq: 3 },
);

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
      goesOn: fc.oneof(
        { weight: 2, arbitrary: fc.constant({}) },
        fc.record({ conversation: fc.constantFrom('c', 'd') }),
        fc.record({ resumes: fc.nat(9).map((seq) => `task-000${seq}`) }),
      ),
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
      session,
      cost,
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
      session,
      cost,
      feedback: fc.option(fc.constantFrom('no', 'again'), { freq: 1 }),
      goneSession: session,
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
  fc.record({ do: fc.constant('spend' as const), by: fc.constantFrom(...SPEND_KEYS), ago: fc.nat(300) }),
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
    // The id of an attempt is the store's own choice.
    return claims.map((claim) => ({ ...claim, attemptId: null }));
  }

  /** As one that was charged, under the same id perhaps, or as no attempt. */
  #charge(c: Command & { do: 'finish' | 'release' }): Charge | null {
    if (c.cost === null) return null;
    const { same, agent: name, costUsd, total } = c.cost;
    return charge({
      attemptId: same ? 'same' : this.#token(c.index),
      agent: name,
      costUsd,
      sessionId: c.session,
      countedUsd: costUsd ?? 1,
      sessionTotals: total === null ? null : { costUsd: total, tokens: null },
    });
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
            ...c.goesOn,
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
          sessionId: c.session,
          costUsd: 0.5,
          usage: { n: 1 },
          outputBytes: 3,
          charge: this.#charge(c),
        });
      case 'release':
        return store.release(this.#token(c.index), {
          runAt: this.#in(c.inMs),
          waitReason: 'retry',
          error: 'e',
          sessionId: c.session,
          outputBytes: 2,
          usesRetry: c.usesRetry,
          countsAsAttempt: c.countsAsAttempt,
          charge: this.#charge(c),
          feedback: c.feedback,
          goneSession: c.goneSession,
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
      case 'spend':
        return store.spend({ since: this.#clock.now() - c.ago, by: c.by, limit: 3 });
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

/** Of one conversation at most one task runs, and none waits for its turn without a reason. */
function checkConversations(tasks: readonly StoredTask[]): void {
  const running = tasks.filter(({ state, conversation }) => state === 'running' && conversation !== null);
  expect(new Set(running.map(({ conversation }) => conversation)).size).toBe(running.length);
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
          if (c.do === 'claim') checkConversations((await store.list({ limit: 1000 })).tasks);
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

it('never runs two tasks of one conversation, and runs them in the order of submission', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          conversation: fc.constantFrom(null, 'c', 'd'),
          priority: fc.integer({ min: -1, max: 1 }),
          agent,
        }),
        { maxLength: 30 },
      ),
      fc.array(
        fc.record({ limit: fc.integer({ min: 1, max: 5 }), ends: fc.nat(3), goesBack: fc.boolean() }),
        {
          minLength: 1,
          maxLength: 10,
          size: 'max',
        },
      ),
      async (given, turns) => {
        const { store } = await openStore(temporaryFolder(), new FakeClock());
        const ids = (await store.submit(given.map(newTask))).map(({ id }) => id);
        const begun = new Map<string, string[]>();
        const running: Claim[] = [];
        for (let turn = 0; ; turn += 1) {
          const { limit, ends, goesBack } = turns[turn % turns.length]!;
          const claims = await store.claim({ owner: 'me', limit, leaseMs: LEASE_MS });
          running.push(...claims);
          checkConversations(running.map(({ task }) => task));
          for (const { task } of claims) {
            const name = task.conversation ?? '';
            begun.set(name, [...new Set([...(begun.get(name) ?? []), task.id])]);
          }
          if (running.length === 0) break;
          for (const { token } of running.splice(0, ends + 1)) {
            // Every other turn, so that it comes to an end.
            if (goesBack && turn % 2 === 0) await store.release(token, BACK);
            else await store.finish(token, DONE);
          }
        }
        await store[Symbol.asyncDispose]();
        const allOf = (name: string) => ids.filter((_, at) => (given[at]?.conversation ?? '') === name);
        for (const name of ['c', 'd']) expect(begun.get(name) ?? []).toEqual(allOf(name));
        expect(begun.get('')?.toSorted() ?? []).toEqual(allOf(''));
      },
    ),
    { numRuns: 25 },
  );
});
