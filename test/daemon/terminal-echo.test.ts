import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { terminalEcho } from '#aiwgd/daemon/terminal-echo.js';

it('keeps a bounded amount for a reader that does not read, and says what it left out', () => {
  const shown: string[] = [];
  const waiting: (() => void)[] = [];
  const slow = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      shown.push(text);
      waiting.push(done);
    },
  });
  const echo = terminalEcho(slow);
  const line = `${'x'.repeat(1023)}\n`;
  for (let n = 0; n < 5_000; n += 1) echo(line);
  expect(slow.writableLength).toBeLessThan(300 * 1024);
  const kept = Math.round(slow.writableLength / 1024);
  for (let done = waiting.shift(); done !== undefined; done = waiting.shift()) done();
  echo(line);
  for (let done = waiting.shift(); done !== undefined; done = waiting.shift()) done();
  expect(shown.at(-2)).toContain(`"lines":${5_000 - kept}`);
  expect(shown.at(-1)).toBe(line);
});
