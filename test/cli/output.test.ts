import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDurationMs, parseMoment } from '#aiwgd/cli/arguments.js';
import { AgentOutput } from '#aiwgd/cli/following/agent-output.js';
import { painter, wantsColor } from '#aiwgd/cli/output/color.js';
import { formatBytes, formatDuration, formatRelative, formatUsd } from '#aiwgd/cli/output/format.js';
import { tableLines } from '#aiwgd/cli/output/table.js';
import { fitText, textWidth, visibleLine, visibleText } from '#aiwgd/cli/output/text.js';

const plain = painter(false);

describe('text from outside', () => {
  it('shows what a terminal would act upon', () => {
    expect(visibleText('\u001b]52;c;aGk=\u0007\u001b[2J')).toBe('␛]52;c;aGk=␇␛[2J');
    expect(visibleText('a\rb\u009b31m\u202egnp\u2066')).toBe('a␍b\\u009b31m\\u202egnp\\u2066');
    expect(visibleText('one\r\n\ttwo\n')).toBe('one\n\ttwo\n');
    expect(visibleLine('  two\n lines\t')).toBe('two lines');
  });

  it('never lets a control character through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visibleText(text)).not.toMatch(
          // oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
          /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u,
        );
      }),
    );
  });

  it('measures wide characters, accents and emoji', () => {
    expect(textWidth('日本')).toBe(4);
    expect(textWidth('e\u0301')).toBe(1);
    expect(textWidth('👍🏽')).toBe(2);
    expect(fitText('日本語です', 7)).toBe('日本語…');
  });
});

describe('a table', () => {
  const columns = [
    { title: 'ID' },
    { title: 'N', align: 'right' as const },
    { title: 'PROMPT', flexible: true },
  ];

  it('fits the terminal by cutting the flexible column only', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.stringMatching(/^task-\d{4}$/),
            fc.stringMatching(/^\d{1,6}$/),
            fc.string({ unit: 'grapheme' }),
          ),
          {
            maxLength: 8,
          },
        ),
        fc.integer({ min: 40, max: 120 }),
        (rows, width) => {
          const cells = rows.map(([id, n, text]) => [id, n, visibleLine(text)]);
          const lines = tableLines(columns, cells, width, plain);
          for (const [index, line] of lines.entries()) {
            expect(textWidth(line)).toBeLessThanOrEqual(width);
            if (index > 0) expect(line.startsWith(`${rows[index - 1]![0]}  `)).toBe(true);
          }
        },
      ),
    );
  });

  it('cuts nothing in a pipe', () => {
    const [, line] = tableLines(columns, [['a', '1', 'x'.repeat(500)]], Number.POSITIVE_INFINITY, plain);
    expect(line).toBe(`a   1  ${'x'.repeat(500)}`);
  });
});

describe('colours', () => {
  it.each([
    [true, {}, true, true],
    [true, {}, false, false],
    [false, { FORCE_COLOR: '1' }, true, false],
    [true, { NO_COLOR: '1' }, true, false],
    [true, { NO_COLOR: '' }, true, true],
    [true, { FORCE_COLOR: '1' }, false, true],
    [true, { FORCE_COLOR: '0' }, true, false],
    [true, { TERM: 'dumb' }, true, false],
  ])('allowed %s, %j, terminal %s: %s', (allowed, environment, isTTY, wanted) => {
    expect(wantsColor(allowed, environment, { isTTY })).toBe(wanted);
  });
});

describe('times and sizes', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['90', 90_000],
    ['250ms', 250],
    ['1.5h', 5_400_000],
    ['', undefined],
    ['-5s', undefined],
    ['5 minutes', undefined],
  ])('%s is %s ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  it('reads moments', () => {
    const now = Date.parse('2026-11-22T08:00:00Z');
    expect(parseMoment('10m', now)).toBe(now - 600_000);
    expect(parseMoment('2026-11-22T07:00:00Z', now)).toBe(now - 3_600_000);
    expect(parseMoment('yesterday', now)).toBeUndefined();
  });

  it('writes them shortly', () => {
    expect([340, 4_200, 59_900, 192_000, 7_500_000, 273_600_000].map(formatDuration)).toEqual([
      '340 ms',
      '4.2 s',
      '59 s',
      '3m 12s',
      '2h 5m',
      '3d 4h',
    ]);
    expect([0, 1_023, 1_536, 52_428_800].map(formatBytes)).toEqual(['0 B', '1023 B', '1.5 KiB', '50 MiB']);
    expect(formatRelative('2026-11-22T08:00:00Z', Date.parse('2026-11-22T07:00:00Z'))).toBe('in 1h');
  });
});

describe('the output of an agent', () => {
  const messages = [
    { type: 'system', subtype: 'init', session_id: 's' },
    { type: 'assistant', message: { content: [{ type: 'text', text: 'I look \u001b[2J' }] } },
    {
      type: 'assistant',
      message: { content: [{ type: 'tool_use', name: 'Bash', input: { command: 'ls\n-l' } }] },
    },
    {
      type: 'user',
      message: { content: [{ type: 'tool_result', is_error: true, content: 'no such file' }] },
    },
    { type: 'rate_limit_event', rate_limit_info: null },
    { type: 'assistant', message: { content: [{ type: 'text', text: 'done' }] } },
    { type: 'result', subtype: 'success', result: 'done' },
  ];
  const jsonl = messages.map((message) => `${JSON.stringify(message)}\n`).join('');
  const readable = 'I look ␛[2J\n> Bash ls -l\n  failed: no such file\ndone\n';

  it('is readable when it comes in messages, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: jsonl.length }), { maxLength: 6 }), (cuts) => {
        const output = new AgentOutput(plain, false);
        const ends = [...cuts.toSorted((a, b) => a - b), jsonl.length];
        let from = 0;
        let printed = '';
        for (const end of ends) {
          printed += output.push(jsonl.slice(from, end));
          from = end;
        }
        expect(printed + output.flush()).toBe(readable);
      }),
    );
  });

  it('is passed on as it is otherwise, at once', () => {
    const output = new AgentOutput(plain, false);
    expect(output.push('progr')).toBe('progr');
    expect(output.push('ess \u001b[1m')).toBe('ess \u001b[1m');
    expect(new AgentOutput(plain, true).push('\u001b[1m')).toBe('␛[1m');
    const own = new AgentOutput(plain, false);
    expect(own.push('{"kind": "my own"}\nmore')).toBe('{"kind": "my own"}\nmore');
  });
});

it('shows as many digits of an amount as it has, and two at least', () => {
  const amounts = [0, 0.3, 0.1 + 0.2, 0.3042, 0.304, 12.5, 1_234.5, 0.000018, 0.25004];
  expect(amounts.map(formatUsd)).toEqual([
    '$0.00',
    '$0.30',
    '$0.30',
    '$0.3042',
    '$0.304',
    '$12.50',
    '$1,234.50',
    '$0.000018',
    '$0.25',
  ]);
});
