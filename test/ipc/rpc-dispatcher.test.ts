import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { MAX_BATCH_LENGTH, RpcDispatcher } from '#aiwgd/ipc/rpc-dispatcher.js';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import { METHODS } from '#aiwgd/protocol/methods.js';
import { object, record } from '#aiwgd/protocol/schema.js';
import { type Message, recordingLog } from './fixtures.js';

const numbers = object({ minuend: v.number(), subtrahend: v.number() });
const none = object({});

function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

const log = recordingLog();
const seen: unknown[] = [];
const dispatcher = new RpcDispatcher<{ name: string }>({
  log,
  methods: {
    subtract: { params: numbers },
    get_data: { params: none },
    update: { params: v.unknown() },
    later: { params: none },
    fail: { params: v.unknown() },
    crash: { params: v.unknown() },
    result: { params: object({ kind: v.string() }) },
    without: { params: none },
    echo: { params: record(v.string(), v.unknown()) },
    'task.submit': { params: METHODS['task.submit'].params },
    subscribe: { params: METHODS.subscribe.params },
  },
  handlers: {
    subtract: ({ minuend, subtrahend }: v.InferOutput<typeof numbers>) => minuend - subtrahend,
    get_data: () => ['hello', 5],
    update: (params: unknown) => void seen.push(params),
    later: async (_params: unknown, { name }: { name: string }) => name,
    fail: () => {
      throw new AiwgdError('NOT_FOUND', 'There is no task "x".', { data: { taskId: 'x' } });
    },
    crash: async () => {
      throw new Error('secret path /root');
    },
    result: ({ kind }: { kind: string }) => {
      if (kind === 'deep') return deep(100_000);
      if (kind === 'bigint') return 1n;
      if (kind === 'undefined') return undefined;
      if (kind === 'huge') return 'x'.repeat(17 * 1024 * 1024);
      if (kind === 'big') return 'x'.repeat(5 * 1024 * 1024);
      const cycle: Record<string, unknown> = {};
      cycle.self = cycle;
      return cycle;
    },
    echo: (params: unknown) => params,
    'task.submit': () => ({}),
    subscribe: () => ({}),
  },
});

async function send(line: string): Promise<Message> {
  const reply = await dispatcher.dispatch(line, { name: 'me' });
  return reply === undefined ? undefined : JSON.parse(reply);
}
const ask = (message: unknown): Promise<Message> => send(JSON.stringify(message));
const call = (method: string, params?: unknown, id: unknown = 1): Promise<Message> =>
  ask({ jsonrpc: '2.0', id, method, params });

describe('the examples of the specification (named parameters)', () => {
  it.each([
    [
      '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
      { jsonrpc: '2.0', result: 19, id: 3 },
    ],
    [
      '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
      { jsonrpc: '2.0', result: 19, id: 4 },
    ],
    ['{"jsonrpc": "2.0", "method": "update", "params": {"list": [1,2,3,4,5]}}', undefined],
    ['{"jsonrpc": "2.0", "method": "foobar"}', undefined],
  ])('%s', async (line, answer) => {
    expect(await send(line)).toEqual(answer);
  });

  it.each([
    ['{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', -32601, '1'],
    ['{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700, null],
    ['{"jsonrpc": "2.0", "method": 1, "params": "bar"}', -32600, null],
    [
      '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]',
      -32700,
      null,
    ],
    ['[]', -32600, null],
  ])('%s', async (line, code, id) => {
    expect(await send(line)).toMatchObject({ jsonrpc: '2.0', error: { code }, id });
  });

  it('batches: invalid ones, mixed ones, and none but notifications', async () => {
    expect(await send('[1]')).toMatchObject([{ error: { code: -32600 }, id: null }]);
    expect((await send('[1,2,3]')).map((answer: Message) => answer.error.code)).toEqual([
      -32600, -32600, -32600,
    ]);
    const mixed = await send(`[
      {"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": "1"},
      {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
      {"jsonrpc": "2.0", "method": "later", "id": "2"},
      {"foo": "boo"},
      {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
      {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]`);
    expect(mixed).toMatchObject([
      { result: 19, id: '1' },
      { result: 'me', id: '2' },
      { error: { code: -32600 }, id: null },
      { error: { code: -32601 }, id: '5' },
      { result: ['hello', 5], id: '9' },
    ]);
    expect(
      await send('[{"jsonrpc":"2.0","method":"update"},{"jsonrpc":"2.0","method":"crash"}]'),
    ).toBeUndefined();
  });
});

describe('requests', () => {
  it.each([['a'], [''], [0], [-1.5], [1e21], [9007199254740991], [null], ['ä\u2028"\n']])(
    'answers the id %j as it came',
    async (id) => {
      expect(await call('get_data', undefined, id)).toEqual({ jsonrpc: '2.0', id, result: ['hello', 5] });
    },
  );

  it.each([['true'], ['{}'], ['[1]'], ['1e400']])('refuses the id %s', async (id) => {
    expect(await send(`{"jsonrpc":"2.0","method":"get_data","id":${id}}`)).toMatchObject({
      id: null,
      error: { code: -32600 },
    });
  });

  it.each([['"1.0"'], ['2.0'], ['null'], ['"2"']])('refuses jsonrpc %s', async (version) => {
    expect(await send(`{"jsonrpc":${version},"method":"get_data","id":7}`)).toMatchObject({
      id: 7,
      error: { code: -32600 },
    });
  });

  it.each([['null'], ['1'], ['"text"'], ['true'], ['{}'], ['""']])('answers the message %s', async (line) => {
    expect(await send(line)).toMatchObject({ id: null, error: { code: -32600 } });
  });

  it.each([['constructor'], ['__proto__'], ['toString'], ['without'], ['']])(
    'has no method %j',
    async (name) => {
      expect(await call(name)).toMatchObject({ error: { code: -32601, data: { code: 'METHOD_NOT_FOUND' } } });
    },
  );

  it('names the nearest method', async () => {
    expect((await call('task.sbmit')).error.message).toContain('Did you mean "task.submit"?');
  });

  it('bounds a batch', async () => {
    const item = { jsonrpc: '2.0', method: 'get_data', id: 1 };
    expect(await ask(Array.from({ length: MAX_BATCH_LENGTH }, () => item))).toHaveLength(MAX_BATCH_LENGTH);
    expect(await ask(Array.from({ length: MAX_BATCH_LENGTH + 1 }, () => item))).toMatchObject({
      error: { code: -32600 },
    });
  });

  it('bounds what a batch answers', async () => {
    const big = { jsonrpc: '2.0', method: 'result', params: { kind: 'big' } };
    const answers = await ask([1, 2, 3, 4].map((id) => ({ ...big, id })));
    expect(answers.map((answer: Message) => answer.error?.code)).toEqual([
      undefined,
      undefined,
      -32006,
      -32006,
    ]);
  });
});

describe('parameters', () => {
  it('may be absent, {} or [] where none are needed, and never stand in an array', async () => {
    for (const params of [undefined, {}, []]) {
      expect(await call('get_data', params)).toMatchObject({ result: ['hello', 5] });
    }
    expect((await call('subtract', [42, 23])).error).toMatchObject({
      code: -32602,
      message: expect.stringContaining('by name'),
    });
    for (const params of [null, 'text', 5, true]) {
      expect(await call('get_data', params)).toMatchObject({ error: { code: -32600 } });
    }
  });

  it('lists every problem with its place', async () => {
    const { error } = await call('task.submit', { promt: 'x', priority: 'high', retries: -1 });
    expect(error.code).toBe(-32602);
    expect(error.data.code).toBe('INVALID_PARAMS');
    const problems = Object.fromEntries(error.data.problems.map((row: Message) => [row.path, row.message]));
    expect(problems).toMatchObject({
      prompt: 'is missing (expected string)',
      priority: expect.stringContaining('expected'),
      retries: expect.any(String),
      promt: 'unknown parameter. Did you mean "prompt"?',
    });
    // What only rules and jobs may give along.
    const inside = { prompt: 'x', once: 'a', launch: { command: ['id'] } };
    const refused = (await call('task.submit', inside)).error.data.problems;
    expect(refused.map(({ path }: { path: string }) => path)).toEqual(['once', 'launch']);
    expect((await call('subscribe', { topics: ['ok', 'not ok'] })).error.data.problems[0].path).toBe(
      'topics[1]',
    );
  });

  it('stays small and quick whatever is wrong', async () => {
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`key${at}`, at]));
    for (const params of [
      many,
      { ['x'.repeat(1_000_000)]: 1 },
      { topics: Array.from({ length: 1_000_000 }, () => '') },
      { topics: Array.from({ length: 10_000 }, () => '') },
    ]) {
      const started = performance.now();
      const { error } = await call('subscribe', params);
      expect(error.code).toBe(-32602);
      expect(JSON.stringify(error).length).toBeLessThan(10_000);
      expect(performance.now() - started).toBeLessThan(3_000);
    }
  });

  it('survives depth, and __proto__', async () => {
    const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    expect(await send(nested)).toMatchObject([{ error: { code: -32600 } }]);
    expect(await send(`{"jsonrpc":"2.0","id":1,"method":"update","params":{"a":${nested}}}`)).toMatchObject({
      result: null,
    });
    const objects = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
    const answer = await send(`{"jsonrpc":"2.0","id":1,"method":"echo","params":${objects}}`);
    expect(answer.id).toBe(1);
    await send('{"jsonrpc":"2.0","id":1,"method":"echo","params":{"__proto__":{"polluted":true}}}');
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('handlers', () => {
  it('an error of the catalogue crosses with its code and details', async () => {
    expect((await call('fail')).error).toEqual({
      code: -32001,
      message: 'There is no task "x".',
      data: { code: 'NOT_FOUND', taskId: 'x' },
    });
  });

  it('any other error tells the log everything and the client nothing', async () => {
    log.lines.length = 0;
    const { error } = await call('crash');
    expect(error).toMatchObject({ code: -32603, data: { code: 'INTERNAL_ERROR' } });
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(log.lines).toMatchObject([
      { level: 'error', fields: { method: 'crash', err: expect.any(Error) } },
    ]);
  });

  it.each([['deep'], ['bigint'], ['cycle']])('a result that is no JSON (%s) fails alone', async (kind) => {
    const answers = await ask([
      { jsonrpc: '2.0', id: 1, method: 'result', params: { kind } },
      { jsonrpc: '2.0', id: 2, method: 'get_data' },
    ]);
    expect(answers).toMatchObject([{ error: { code: -32603 } }, { result: ['hello', 5] }]);
  });

  it('no result is null, and one too long for a line is an error', async () => {
    expect(await call('result', { kind: 'undefined' })).toEqual({ jsonrpc: '2.0', id: 1, result: null });
    expect((await call('result', { kind: 'huge' })).error.code).toBe(-32006);
  });

  it('notifications are carried out and never answered, whatever happens', async () => {
    seen.length = 0;
    expect(await ask({ jsonrpc: '2.0', method: 'update', params: { a: 1 } })).toBeUndefined();
    expect(seen).toEqual([{ a: 1 }]);
    for (const method of ['fail', 'crash', 'result', 'nothing']) {
      expect(await ask({ jsonrpc: '2.0', method })).toBeUndefined();
    }
  });
});
