import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../e2e/support.js';
import { ROOT } from './markdown.js';

function sourceOfDemo(): string {
  const folder = join(ROOT, 'dist/cli/demo');
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(folder, name));
  return [join(ROOT, 'dist/cli/commands/demo.js'), ...files]
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
}

test('the picture of the demo shows what the demo says today', () => {
  const svg = readFileSync(join(ROOT, 'docs/images/demo.svg'), 'utf8');
  const texts = Array.from(svg.matchAll(/>([^<>\n]+)</g), ([, text = '']) => text);
  // Between numbers and the parts that are put together, there are pieces that stand in the program as they are.
  const pieces = texts
    .filter((text) => !text.endsWith('…'))
    .flatMap((text) => text.split(/task-\d+|\d+|: | \| | {2,}/))
    .map((text) => text.trim())
    .filter((text) => text.length >= 12 && text.includes(' '));
  expect(pieces.length).toBeGreaterThan(10);
  const source = sourceOfDemo();
  expect(
    pieces.filter((piece) => !source.includes(piece)),
    'draw it anew: see the head of tools/dev/terminal-svg.mjs',
  ).toEqual([]);
});

test('a terminal is drawn with its colours, and markup in it is only text', async () => {
  const ran = await runProgram(process.execPath, [join(ROOT, 'tools/dev/terminal-svg.mjs'), 'a <b>'], {
    cwd: ROOT,
    env: {},
    input: 'plain & <i>\n\u001b[32mgreen\u001b[0m \u001b[1mbold\nstill bold\u001b[22m\n',
  });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(ran.stdout).toContain('>a &lt;b&gt;</text>');
  expect(ran.stdout).toContain('>plain &amp; &lt;i&gt;</text>');
  expect(ran.stdout).toContain('<tspan fill="#7ee787">green</tspan> <tspan font-weight="bold">bold</tspan>');
  expect(ran.stdout).toContain('<tspan font-weight="bold">still bold</tspan>');
});
