import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { defaultConfigText } from '#aiwgd/protocol/config/default-config.js';
import { formatProblems } from '#aiwgd/protocol/config/problems.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';

/** Taken or refused, but never thrown at; a refusal says something about a place that the text has. */
function check(text: string): boolean {
  const parsed = parseConfig(text, 'daemon.json');
  if (parsed.ok) return true;
  const lines = text.split('\n').length;
  expect(parsed.problems.length).toBeGreaterThan(0);
  for (const { line, column, message } of parsed.problems) {
    expect(line).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(message).not.toBe('');
    expect(message).not.toMatch(/Invalid input|undefined/);
  }
  expect(formatProblems('daemon.json', parsed.problems)).not.toBe('');
  return false;
}

const full = {
  daemon: { log: { level: 'info' }, max_parallel_actions: 2 },
  watch: { paths: ['a', { path: 'b', events: ['create'], ignore: ['x'], extensions: ['.ts'] }] },
  schedule: {
    jobs: [{ id: 'j', cron: '@daily', timezone: 'UTC', action: { prompt: 'x', env: { A: '${B}' } } }],
  },
  actions: { a: { command: ['x'] } },
  rules: [
    {
      id: 'r',
      trigger: { type: 'file_change', pattern: '**' },
      conditions: [{ type: 'all', conditions: [{ field: 'a', operator: 'eq', value: 1 }] }],
      actions: [
        { type: 'agent', prompt: 'x' },
        { type: 'notify', message: 'm' },
      ],
    },
    { id: 's', trigger: { type: 'file.modify' }, action: { type: 'webhook', url: 'http://a.b' } },
  ],
  webhook: { enabled: true, secret_env: 'A', endpoints: [{ path: '/a' }] },
  agents: { claude: {}, s: { provider: 'command', command: ['x'] } },
  messaging: { slack: { topics: ['*'] } },
};

/** Paths of everything in a value. */
function pathsOf(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, child]) => pathsOf(child, [...path, key]))];
}

function replaced(value: unknown, path: readonly (string | number)[], by: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return by;
  const copy: Record<string, unknown> = Array.isArray(value)
    ? ([...value] as never)
    : { ...(value as object) };
  copy[step] = replaced(copy[step], rest, by);
  return copy;
}

it('never throws, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void check(text)),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.json(), (text) => void check(text)),
    { numRuns: 300 },
  );
});

it('never throws, whatever stands in place of one part', () => {
  expect(check(JSON.stringify(full))).toBe(true);
  const places = pathsOf(full);
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 3 }), (path, value) => {
      check(JSON.stringify(replaced(full, path, value)));
    }),
    { numRuns: 1000 },
  );
});

it('never throws, wherever a right text is cut or has a character too many', () => {
  const text = defaultConfigText({ comments: true });
  fc.assert(
    fc.property(
      fc.nat(text.length),
      fc.constantFrom('', '"', '{', ']', ',', ':', '\\', '/*', '\n', '7'),
      (at, extra) => {
        check(text.slice(0, at) + extra);
        check(text.slice(0, at) + extra + text.slice(at));
      },
    ),
    { numRuns: 300 },
  );
});

it('always names the place where one key of the default file has another name', () => {
  const text = defaultConfigText();
  const keys = [...text.matchAll(/"(\w+)":/g)];
  expect(keys.length).toBeGreaterThan(20);
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.stringMatching(/^[a-z_]{1,12}$/), (key, suffix) => {
      const name = `${key[1]}_${suffix}`;
      const parsed = parseConfig(
        `${text.slice(0, key.index + 1)}${name}${text.slice(key.index + 1 + key[1]!.length)}`,
        'f',
      );
      if (parsed.ok) throw new Error(`${name} was taken`);
      const line = text.slice(0, key.index).split('\n').length;
      expect(parsed.problems.map((one) => [one.line, one.path.split('.').at(-1)])).toContainEqual([
        line,
        name,
      ]);
    }),
    { numRuns: 200 },
  );
});
