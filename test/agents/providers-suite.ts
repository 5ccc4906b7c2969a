import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { anything, assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {
  AgentProvider,
  LaunchInput,
  OutputParser,
  ParserContext,
  Verdict,
} from '#aiwgd/agents/agent-provider.js';
import { LineSplitter } from '#aiwgd/agents/line-splitter.js';
import type { TokenCounts } from '#aiwgd/protocol/task.js';

const SAMPLES = join(import.meta.dirname, '../samples');

/** What a program printed in one run, and how it ended. */
export interface Capture {
  stdout: Buffer;
  code: number | null;
  signal: string | null;
  stderr: string;
}

const indexes = ['index.json', 'others.json'].map(
  (name) => JSON.parse(readFileSync(join(SAMPLES, name), 'utf8')) as Record<string, Omit<Capture, 'stdout'>>,
);

/** A capture of a real program: `codex-0.169.0-ok`. */
export function captured(name: string): Capture {
  const entry = indexes[1]?.[name] ?? indexes[0]?.[name.replace(/^claude-[\d.]+-/u, '')];
  if (entry === undefined) throw new Error(`There is no capture ${name}`);
  return { ...entry, stdout: readFileSync(join(SAMPLES, `${name}.jsonl`)) };
}

export function printed(stdout: string, end: Partial<Omit<Capture, 'stdout'>> = {}): Capture {
  return { stdout: Buffer.from(stdout), code: 0, signal: null, stderr: '', ...end };
}

export const START: LaunchInput = {
  prompt: 'mend it',
  subAgent: null,
  resume: null,
  maxBudgetUsd: null,
  baseline: null,
  outside: false,
  allowed: [],
};

export function play(
  provider: AgentProvider,
  { stdout, code, signal, stderr }: Capture,
  context: ParserContext = { baseline: null },
): { parser: OutputParser; verdict: Verdict } {
  const parser = provider.createParser(context);
  const splitter = new LineSplitter((line) => parser.line(line));
  splitter.push(stdout);
  splitter.end();
  const verdict = parser.verdict({
    exitCode: code,
    signal,
    stdoutTail: () => stdout.toString(),
    stderrTail: () => stderr,
  });
  return { parser, verdict };
}

/** What a provider does not do, and why. */
export interface Skip {
  skip: string;
}

export interface ProviderCase {
  name: string;
  make: (config?: { args?: string[]; model?: string }) => AgentProvider;
  program: string;
  /** The arguments for `{args: ['--extra'], model: 'm1'}`, without a session. */
  argv: string[];
  family: string[];
  /** A session's id, and the arguments that go on in it. */
  session: { id: string; argv: string[] } | Skip;
  success: { capture: Capture; result: string; tokens: TokenCounts | null; costUsd: number | null };
  /** A run whose tool was at work when it was killed. */
  killed: Capture | Skip;
  tool: { capture: Capture; words: RegExp } | Skip;
  auth: Capture | Skip;
  limited: Capture | Skip;
  overloaded: Capture | Skip;
  gone: Capture | Skip;
  badFlag: Capture | Skip;
  /** Lines that the program may print some day, or that come from elsewhere. */
  lines: 'events' | Skip;
}

function isSkip(value: unknown): value is Skip {
  return typeof value === 'object' && value !== null && 'skip' in value;
}

/** A test of what only some providers can do; the others say why not. */
function where<T>(value: T | Skip, title: string, test: (given: T) => void): void {
  if (isSkip(value)) it.skip(`${title} (not here: ${value.skip})`, () => undefined);
  else it(title, () => test(value));
}

const FAILURES = [
  ['auth', 'auth', /refused the key|refused the login/],
  ['limited', 'rate_limit', /^Rate limited/],
  ['overloaded', 'overloaded', /overloaded|API failed/],
  ['gone', 'session_gone', /no longer has the session/],
  ['badFlag', 'bad_arguments', /refuses how it was called/],
] as const;

const NOISE = [
  'oops',
  '{"type":',
  '[1]',
  'null',
  '"result"',
  '{"type":"some_day","result":"no","part":7,"item":[],"usage":null}',
  '{"type":17}',
  '{}',
].join('\n');

/** What every provider has to do alike. */
export function providerSuite(one: ProviderCase): void {
  const provider = one.make();
  const fresh = provider.prepare(START);

  describe(`${one.name}: how it is launched`, () => {
    it('with the arguments of the configuration, and its own', () => {
      const { program, args } = one.make({ args: ['--extra'], model: 'm1' }).prepare(START);
      expect({ program, args }).toEqual({ program: one.program, args: one.argv });
      expect(provider.envFamily).toEqual(one.family);
    });

    it('with the prompt on stdin and never among its arguments', () => {
      const prompts = constantFrom(
        '--help',
        '-',
        '-x',
        '@file',
        '/help',
        ` ${'x'.repeat(200_000)}`,
        '\n"$(id)',
      );
      for (const source of [prompts, string({ minLength: 1 })]) {
        assert(
          property(source, (prompt) => {
            const launch = provider.prepare({ ...START, prompt });
            expect(launch.stdin).toBe(prompt);
            expect(launch.args).toEqual(fresh.args);
          }),
          { numRuns: 20 },
        );
      }
    });

    where(one.session, 'in a session that it knows, with what is new on stdin', ({ id, argv }) => {
      expect(provider.isSession(id)).toBe(true);
      const launch = provider.prepare({ ...START, resume: id });
      expect(launch.args).toEqual(argv);
      expect(launch.stdin).toBe(START.prompt);
    });

    it('never with an argument that no session’s id can be', () => {
      const id = isSkip(one.session) ? 'session' : one.session.id;
      const forged = constantFrom(
        '--help',
        `-${id}`,
        `${id}\n`,
        ` ${id}`,
        `${id} x`,
        `../${id}`,
        `${id}\0`,
        '',
      );
      for (const source of [forged, string()]) {
        assert(
          property(source, (resume) => {
            expect(provider.isSession(resume)).toBe(false);
            expect(provider.prepare({ ...START, resume }).args).toEqual(fresh.args);
          }),
        );
      }
    });
  });

  describe(`${one.name}: the verdict`, () => {
    it('on a run that went well', () => {
      const { parser, verdict } = play(provider, one.success.capture);
      expect(verdict).toMatchObject({
        ok: true,
        error: null,
        failureClass: null,
        retryAt: null,
        surprises: [],
      });
      expect(verdict.result).toBe(one.success.result);
      if (one.success.costUsd === null) expect(verdict.costUsd).toBeNull();
      else expect(verdict.costUsd).toBeCloseTo(one.success.costUsd, 9);
      if (!isSkip(one.session)) {
        expect(verdict.sessionId).toSatisfy((id: string) => provider.isSession(id));
        expect(parser.sessionId).toBe(verdict.sessionId);
        expect(parser.hasResult).toBe(true);
      }
    });

    it('with its tokens in the terms of all', () => {
      expect(play(provider, one.success.capture).verdict.tokens).toEqual(one.success.tokens);
    });

    for (const [key, failureClass, error] of FAILURES) {
      where(one[key], `names ${failureClass} in words of its own`, (capture) => {
        const { verdict } = play(provider, capture);
        expect(verdict).toMatchObject({ ok: false, failureClass, error: expect.stringMatching(error) });
      });
    }

    where(one.killed, 'on a run that was ended in the middle of a tool', (capture) => {
      const { verdict, parser } = play(provider, capture);
      expect(verdict.ok).toBe(false);
      expect(['signal', 'no_result']).toContain(verdict.failureClass);
      expect(verdict.error).toMatch(/without a result/);
      expect(parser.sessionId).toSatisfy((id: string) => provider.isSession(id));
    });

    it.each([
      [1, null, /exit 1/],
      [null, 'SIGKILL', /SIGKILL/],
      [null, null, /exit unknown/],
    ])('on nothing at all, with exit %s and signal %s', (code, signal, error) => {
      const { verdict } = play(provider, { ...printed(''), code, signal });
      expect(verdict).toMatchObject({ ok: false, result: null, error: expect.stringMatching(error) });
    });

    where(one.lines, 'is not a success before its last line', () => {
      const { stdout } = one.success.capture;
      const whole = stdout.toString().trimEnd().split('\n');
      for (let count = 0; count < whole.length; count += 1) {
        const part = printed(
          whole
            .slice(0, count)
            .map((line) => `${line}\n`)
            .join(''),
        );
        expect(play(provider, part).verdict.ok, `${count} lines`).toBe(false);
      }
    });
  });

  describe(`${one.name}: what it prints`, () => {
    where(one.lines, 'may have stray text, unknown events and unknown fields', () => {
      const { capture } = one.success;
      const plain = play(provider, capture).verdict;
      const lines = capture.stdout.toString().trimEnd().split('\n');
      const strange = lines.map((line) => line.replace(/^\{/u, '{"new":{"type":"error"},'));
      const told = [NOISE, ...strange.flatMap((line) => [line, NOISE]), ''];
      expect(play(provider, { ...capture, stdout: Buffer.from(told.join('\n')) }).verdict).toEqual(plain);
    });

    where(one.lines, 'may hold numbers that nothing can count', () => {
      const { capture } = one.success;
      const absurd = capture.stdout.toString().replaceAll(/(?<=":)\d[\d.e-]*(?=[,}])/gu, '1.7e308');
      expect(absurd).toContain('1.7e308');
      const twice = Buffer.from(absurd + absurd);
      const { verdict } = play(provider, { ...capture, stdout: twice });
      const { costUsd, tokens } = verdict;
      for (const number of [costUsd ?? 0, ...Object.values(tokens ?? {})])
        expect(Number.isSafeInteger(Math.round(number))).toBe(true);
    });

    where(one.lines, 'may hold anything in any field', () => {
      const types = captureTypes(one.success.capture);
      const odd = { withNullPrototype: false, withBigInt: false, maxDepth: 3 };
      assert(
        property(constantFrom(...types), anything(odd), anything(odd), (event, value, other) => {
          const names = Object.keys(event);
          const broken = { ...event };
          for (const [at, name] of names.entries())
            if (name !== 'type') broken[name] = at % 2 === 0 ? value : other;
          const text = `${JSON.stringify(broken)}\n`;
          const { verdict } = play(provider, printed(text, { code: 1 }));
          expect(typeof verdict.ok).toBe('boolean');
          expect(verdict.costUsd === null || Number.isFinite(verdict.costUsd)).toBe(true);
        }),
      );
    });

    where(one.lines, 'may be megabytes and a hundred thousand levels', () => {
      const { capture } = one.success;
      const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
      const huge = capture.stdout
        .toString()
        .replaceAll(one.success.result, 'y'.repeat(3_000_000))
        .replaceAll(/"(usage|stats|tokens)":\{/gu, `"$1":{"deep":${deep},"long":"${'x'.repeat(1_000_000)}",`);
      const { verdict, parser } = play(provider, { ...capture, stdout: Buffer.from(huge) });
      expect(Buffer.byteLength(verdict.result ?? '')).toBeLessThanOrEqual(1024 * 1024);
      expect(JSON.stringify({ ...verdict, result: null }).length).toBeLessThan(70_000);
      expect((parser.progress?.text ?? '').length).toBeLessThanOrEqual(2000);
    });

    where(one.tool, 'becomes progress while it works', ({ capture, words }) => {
      const parser = provider.createParser({ baseline: null });
      expect(parser.progress).toBeNull();
      const seen = new Set<OutputParser['progress']>();
      const splitter = new LineSplitter((line) => {
        parser.line(line);
        seen.add(parser.progress);
      });
      splitter.push(capture.stdout);
      splitter.end();
      seen.delete(null);
      expect([...seen].map((progress) => progress?.tool ?? '')).toContainEqual(expect.stringMatching(words));
      const last = parser.progress;
      expect(last).toMatchObject({ tool: null });
      expect(last?.turns).toBeGreaterThanOrEqual(2);
      expect(last?.text.length).toBeGreaterThan(0);
      // Whoever holds an object can tell by it whether something has changed.
      expect(seen.size).toBeGreaterThan(2);
    });
  });
}

function captureTypes({ stdout }: Capture): Record<string, unknown>[] {
  const lines = stdout.toString().trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
