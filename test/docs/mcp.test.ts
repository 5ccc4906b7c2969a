import { expect, test } from 'vitest';
import { TOOLS } from '#aiwgd/cli/mcp/tools.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import { readPage } from './markdown.js';

test('the page on MCP lists every tool, with its methods and whether it is there by default', () => {
  const parsed = parseConfig('{}', 'daemon.json');
  if (!parsed.ok) throw new Error('the defaults are no configuration');
  const { allow } = parsed.config.mcp;
  const rows = readPage('docs/mcp.md').prose.flatMap(({ text }) => {
    const [, name, methods = '', byDefault] = /^\| `(\w+)` \| (.*?) \| (yes|no) \|/.exec(text) ?? [];
    return name === undefined ? [] : [{ name, methods: methods.replaceAll('`', '').split(', '), byDefault }];
  });
  const tools = TOOLS.map(({ name, methods }) => ({
    name,
    methods: [...methods],
    byDefault: methods.every((method) => allow.includes(method)) ? 'yes' : 'no',
  }));
  expect(rows).toEqual(tools);
});

test('every tool has a name of its own, words for a model, and arguments with a meaning', () => {
  expect(new Set(TOOLS.map(({ name }) => name)).size).toBe(TOOLS.length);
  for (const { name, title, description, methods } of TOOLS) {
    expect(name).toMatch(/^[a-z]+(_[a-z]+)+$/);
    expect(title.length).toBeGreaterThan(5);
    expect(description.length).toBeGreaterThan(20);
    expect(methods.length).toBeGreaterThan(0);
  }
});
