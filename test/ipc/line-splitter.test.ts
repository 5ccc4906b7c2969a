import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Line, LineSplitter, NOT_UTF8, TOO_LONG } from '#aiwgd/ipc/line-splitter.js';

function linesOf(splitter: LineSplitter, chunks: Iterable<Buffer>): Line[] {
  const lines: Line[] = [];
  const take = (): void => {
    for (let line = splitter.next(); line !== undefined; line = splitter.next()) lines.push(line);
  };
  for (const chunk of chunks) {
    splitter.push(chunk);
    take();
  }
  splitter.finish();
  take();
  return lines;
}

function* cut(bytes: Buffer, sizes: number[]): Generator<Buffer> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const anyJson = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.json(),
  fc.double().filter((id) => Number.isFinite(id)),
);

describe('LineSplitter', () => {
  it('yields the same messages for any chunking, any unicode, either line ending', () => {
    const message = fc.record({ id: anyJson, method: fc.string({ unit: 'grapheme' }) });
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(
        fc.array(message),
        sizes,
        fc.constantFrom('\n', '\r\n', '\n\n\r\n'),
        (list, cuts, ending) => {
          const texts = list.map((item) => JSON.stringify(item));
          const bytes = Buffer.from(texts.map((text) => text + ending).join(''));
          expect(linesOf(new LineSplitter(), cut(bytes, cuts))).toEqual(texts);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('agrees with a plain split for any bytes at all', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    const byte = fc.oneof(fc.constantFrom(10, 13, 0xc3, 0xa4, 0xff, 65), fc.integer({ min: 0, max: 255 }));
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 80 }), sizes, (values, cuts) => {
        const expected = Buffer.from(values)
          .toString('latin1')
          .split('\n')
          .map((text) => text.replace(/\r$/, ''))
          .filter((text) => text !== '')
          .map((text) => {
            try {
              return strict.decode(Buffer.from(text, 'latin1'));
            } catch {
              return NOT_UTF8;
            }
          });
        expect(linesOf(new LineSplitter(), cut(Buffer.from(values), cuts))).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('takes a character apart byte by byte without harm', () => {
    const line = '{"text":"ä€𝄞\u0000"}';
    expect(linesOf(new LineSplitter(), cut(Buffer.from(`${line}\n`), [1]))).toEqual([line]);
  });

  it.each([[1], [7], [1000]])(
    'reports a line over the limit once, after those before it, in chunks of %i',
    (size) => {
      const splitter = new LineSplitter(10);
      const bytes = Buffer.from(`short\n${'x'.repeat(10)}\r\n1234567890\n${'x'.repeat(11)}\nafter\n`);
      const lines = linesOf(splitter, cut(bytes, [size]));
      // "\r" counts, so that ten letters and "\r" are over.
      expect(lines).toEqual(['short', TOO_LONG]);
      splitter.push(Buffer.from('more\n'));
      expect(splitter.next()).toBeUndefined();
    },
  );

  it('keeps the order when the end comes before all lines were taken', () => {
    const splitter = new LineSplitter();
    splitter.push(Buffer.from('a'));
    splitter.push(Buffer.from('b\nc\nd\ne'));
    expect(splitter.next()).toBe('ab');
    splitter.finish();
    expect([splitter.next(), splitter.next(), splitter.next(), splitter.next()]).toEqual([
      'c',
      'd',
      'e',
      undefined,
    ]);
  });

  it('accepts a line of exactly the limit', () => {
    for (const size of [1, 4, 100]) {
      expect(linesOf(new LineSplitter(10), cut(Buffer.from('1234567890\n'), [size]))).toEqual(['1234567890']);
    }
  });

  it.each([[1], [64 * 1024]])('takes a line of 16 MiB in chunks of %i bytes in linear time', (size) => {
    const splitter = new LineSplitter();
    const chunk = Buffer.alloc(size, 'x');
    const started = performance.now();
    for (let sent = 0; sent < 16 * 1024 * 1024; sent += size) splitter.push(chunk);
    splitter.push(Buffer.from('\n'));
    expect(splitter.next()).toHaveLength(16 * 1024 * 1024);
    expect(performance.now() - started).toBeLessThan(8_000);
  });
});
