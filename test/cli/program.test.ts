import { afterAll, describe, expect, it } from 'vitest';
import { buildProgram } from '#aiwgd/cli/program.js';
import { ALL_BRANCHES } from '#aiwgd/cli/tree/all-branches.js';
import { BRANCH_OF, branchesFor } from '#aiwgd/cli/tree/branches-for.js';
import { walkProgram } from '#aiwgd/cli/walk-program.js';
import { makeFolder, runCli } from './run-cli.js';

interface Parsed {
  load: () => Promise<{ run: unknown }>;
  args: readonly string[];
  options: Record<string, unknown>;
}

async function parse(...words: string[]): Promise<Parsed> {
  let parsed: Parsed | undefined;
  const program = buildProgram(ALL_BRANCHES, async (load, args, options) => {
    parsed = { load, args, options: options as Record<string, unknown> };
  });
  program.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  await program.parseAsync(words, { from: 'user' });
  if (parsed === undefined) throw new Error('nothing was called');
  return parsed;
}

describe('the command tree', () => {
  it.each([
    ['start'],
    ['start --foreground'],
    ['stop'],
    ['status'],
    ['logs'],
    ['logs --lines 100'],
    ['logs --follow'],
    ['logs -n 5 -f --level warn --since 2h'],
    ['restart'],
    ['reload'],
    ['task list --state failed --limit 5 --json'],
    ['events dead retry abc'],
    ['config validate'],
  ])('takes: aiwgd %s', async (line) => {
    const { load } = await parse(...line.split(' '));
    expect(typeof (await load()).run).toBe('function');
  });

  it('takes options anywhere between the words of a prompt', async () => {
    const { args, options } = await parse(
      'task',
      'submit',
      'fix',
      '--priority',
      '10',
      'the',
      '--wait',
      'bug',
    );
    expect(args).toEqual(['fix', 'the', 'bug']);
    expect(options).toEqual({ priority: 10, wait: true });
  });

  it('takes a prompt that begins with a dash after --, a lone dash and a negative priority', async () => {
    expect((await parse('task', 'submit', '--', '--strict', 'is', 'missing')).args).toEqual([
      '--strict',
      'is',
      'missing',
    ]);
    expect((await parse('task', 'submit', '-')).args).toEqual(['-']);
    expect((await parse('task', 'submit', 'x', '--priority', '-5')).options).toEqual({ priority: -5 });
  });

  it('turns times into milliseconds', async () => {
    const { options } = await parse('task', 'submit', 'x', '--timeout', '1.5', '--delay', '5m');
    expect(options).toEqual({ timeout: 90_000, delay: 300_000 });
    expect((await parse('stop', '--timeout', '60')).options).toEqual({ timeout: 60_000 });
  });

  it('takes the options of every command before and after its name; the nearer one counts', async () => {
    expect((await parse('--json', '--project', '/a', 'status')).options).toEqual({
      json: true,
      project: '/a',
    });
    expect((await parse('--project', '/a', 'status', '--project', '/b')).options).toEqual({ project: '/b' });
    expect((await parse('status', '--no-color')).options).toEqual({ color: false });
  });

  it('has a file, a summary and an example for each command, and finds each by its first word', async () => {
    const program = buildProgram(ALL_BRANCHES, async () => {});
    const first = program.commands.map((command) => command.name());
    expect(Object.keys(BRANCH_OF).toSorted()).toEqual(first.toSorted());
    for (const name of first) {
      const part = buildProgram(await branchesFor(name), async () => {});
      expect(part.commands.map((command) => command.name())).toContain(name);
    }
    for (const { words, command } of walkProgram(program)) {
      expect(command.summary() || command.description(), words.join(' ')).not.toBe('');
    }
  });
});

describe('a wrong command line', () => {
  const folder = makeFolder();
  afterAll(folder.remove);

  it.each([
    [['statsu'], 'status'],
    [['task', 'sumbit', 'x'], 'submit'],
    [['logs', '--folow'], '--follow'],
    [['stop', '--forse'], '--force'],
  ])('%j exits 2 and names the nearest', async (args, nearest) => {
    const { code, stdout, stderr } = await runCli(args, { cwd: folder.root });
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(nearest);
    expect(stderr).toMatch(/^aiwgd: /);
  });

  it('is also told as a document with --json', async () => {
    const { code, stdout } = await runCli(['logs', '--lines', 'many', '--json'], { cwd: folder.root });
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'USAGE' } });
  });

  it('without words is the help; a group without a command exits 2', async () => {
    const help = await runCli([], { cwd: folder.root });
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('Usage: aiwgd');
    expect((await runCli(['task'], { cwd: folder.root })).code).toBe(2);
    expect((await runCli(['task', 'submit', '--help'], { cwd: folder.root })).code).toBe(0);
  });
});

describe('outside any project', () => {
  it('commands exit 2 and say what to do, version works', async () => {
    const { root, remove } = makeFolder(false);
    const { code, stderr } = await runCli(['status'], { cwd: root });
    expect(code).toBe(2);
    expect(stderr).toContain('aiwgd start');
    expect((await runCli(['version'], { cwd: root })).stdout).toMatch(/^aiwgd \d+\.\d+\.\d+/);
    expect((await runCli(['config', 'show', '--json'], { cwd: root })).code).toBe(0);
    remove();
  });
});
