import { AiwgdError } from '../protocol/errors.js';
import type { Charge, NewTask, Outcome, Release, TaskStore } from '../tasks/task-store.js';
import { FakeClock } from './fake-clock.js';

/** The part of vitest (or of a test runner like it) that the suite uses. */
export interface TestTools {
  describe: (name: string, body: () => void) => unknown;
  it: (name: string, body: () => Promise<void>) => unknown;
  expect: (value: unknown) => {
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
    once: null,
    runAt: null,
    waitReason: null,
    maxAttempts: 3,
    retries: 0,
    cwd: null,
    metadata: {},
    source: 'rpc',
    ruleId: null,
    causedBy: null,
    launch: null,
    conversation: null,
    resumes: null,
    ...fields,
  };
}

export const DONE: Outcome = {
  state: 'completed',
  result: 'hello',
  error: null,
  exitCode: 0,
  signal: null,
  sessionId: 's-1',
  costUsd: 0.25,
  usage: { input_tokens: 3 },
  outputBytes: 6,
  charge: null,
};

export const BACK: Release = {
  runAt: null,
  waitReason: null,
  error: null,
  sessionId: null,
  outputBytes: 0,
  usesRetry: false,
  countsAsAttempt: true,
  charge: null,
  feedback: null,
  goneSession: null,
};

/** What an attempt cost, for tests. */
export function charge(fields: Partial<Charge> = {}): Charge {
  return {
    attemptId: 'attempt-1',
    agent: 'claude',
    costUsd: 0.25,
    tokens: { input: 100, cachedInput: 40, output: 7 },
    countedUsd: fields.costUsd ?? 0.25,
    sessionId: 's-1',
    sessionTotals: null,
    ...fields,
  };
}

export const LEASE_MS = 60_000;

export const claim = (store: TaskStore, limit = 1, exceptAgents: (string | null)[] = []) =>
  store.claim({ owner: 'me', limit, leaseMs: LEASE_MS, exceptAgents });

export async function claimOne(store: TaskStore) {
  const [claimed] = await claim(store);
  if (claimed === undefined) throw new Error('nothing to claim');
  return claimed;
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof AiwgdError ? error.code : String(error);
  }
}

export const idsOf = (tasks: readonly { id: string }[]) => tasks.map(({ id }) => id);

export type StoreTest = (title: string, body: (store: TaskStore, clock: FakeClock) => Promise<void>) => void;

/** `it` with a store of its own for each test. */
export function withStore(engine: TaskStoreEngine, tools: TestTools): StoreTest {
  return (title, body) => {
    tools.it(title, async () => {
      const clock = new FakeClock();
      const store = await engine.open({ clock });
      try {
        await body(store, clock);
      } finally {
        await store[Symbol.asyncDispose]();
      }
    });
  };
}
