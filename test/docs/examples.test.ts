import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import { CLI, Project, type Ran, runProgram } from '../e2e/support.js';
import { allPages, type Block, type Page, ROOT, readPage } from './markdown.js';

/** What stands in for the real program: it answers as claude does, in one message and a result. */
const CLAUDE = `#!/bin/sh
cat > /dev/null
echo '{"type":"system","subtype":"init","session_id":"s"}'
echo '{"type":"assistant","message":{"content":[{"type":"text","text":"A fine project."}]}}'
echo '{"type":"result","subtype":"success","is_error":false,"result":"A fine project.","session_id":"s"}'
`;

/** The same for the others, each with the least that it says of a run that went well. */
const OTHERS: Record<string, string> = {
  codex: '{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}',
  gemini: '{"type":"result","status":"success","stats":{"input_tokens":1,"output_tokens":1}}',
  opencode: '{"type":"step_finish","part":{"reason":"stop","cost":0,"tokens":{"input":1,"output":1}}}',
};

/** For machines without nc; takes the two options that the page uses. */
const NC = `#!/usr/bin/env node
import { connect } from 'node:net';
const socket = connect(process.argv.at(-1));
process.stdin.pipe(socket).pipe(process.stdout);
`;

const PROGRAMS: Record<string, string> = { js: 'node', python: 'python3' };

function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function executable(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o755 });
}

/** A project in which the examples of a page are run, one after another. */
class Reader {
  readonly project = new Project();
  readonly #env: Record<string, string>;
  #count = 0;

  constructor() {
    const { root } = this.project;
    const bin = join(dirname(root), 'bin');
    mkdirSync(bin);
    symlinkSync(CLI, join(bin, 'aiwgd'));
    executable(join(bin, 'claude'), CLAUDE);
    for (const [name, line] of Object.entries(OTHERS))
      executable(join(bin, name), `#!/bin/sh\ncat > /dev/null\necho '${line}'\n`);
    writeFileSync(join(bin, 'package.json'), '{ "type": "module" }');
    if (findProgram('nc') === undefined) executable(join(bin, 'nc'), NC);
    mkdirSync(join(root, 'node_modules'));
    symlinkSync(ROOT, join(root, 'node_modules', 'aiwgd'));
    this.#env = { ...this.project.env, PATH: `${bin}${delimiter}${this.project.env['PATH']}` };
  }

  async prepare(): Promise<void> {
    const git = 'git -c user.name=a -c user.email=a@example.org';
    await this.shell(`git init -q . && ${git} commit -q --allow-empty -m 'Begin'`);
  }

  shell(text: string): Promise<Ran> {
    return this.#run('/bin/sh', ['-eu', '-c', text]);
  }

  /** Does what a reader would do with the block. */
  async follow(block: Block): Promise<Ran | undefined> {
    const { language, marks, text } = block;
    const file = marks.find((mark) => mark.startsWith('file='))?.slice('file='.length);
    if (file !== undefined) executable(join(this.project.root, file), text);
    if (!marks.includes('run')) return undefined;
    if (language === 'sh') return this.shell(text);
    if (language === 'json') {
      writeFileSync(this.project.paths.config, text);
      return this.shell('aiwgd reload');
    }
    const program = findProgram(PROGRAMS[language] ?? language);
    if (program === undefined) return undefined;
    this.#count += 1;
    const script = join(this.project.root, `example-${this.#count}${language === 'js' ? '.mjs' : ''}`);
    writeFileSync(script, text);
    return this.#run(program, [script]);
  }

  #run(program: string, args: string[]): Promise<Ran> {
    return runProgram(program, args, { cwd: this.project.root, env: this.#env });
  }
}

/** Pages whose examples begin in a project without a daemon. */
const BEGIN_STOPPED = new Set(['README.md', 'docs/daemon-guide.md']);

const GUIDES = [
  'README.md',
  'docs/daemon-guide.md',
  'docs/tasks.md',
  'docs/automation.md',
  'docs/file-watching.md',
  'docs/cost-and-loops.md',
  'docs/schedules.md',
  'docs/agents.md',
  'docs/agents/codex.md',
  'docs/agents/gemini.md',
  'docs/agents/opencode.md',
  'docs/configuration.md',
  'docs/scripting.md',
];

describe('examples that can be run', () => {
  test.each(GUIDES)('of %s do what the page says', async (path) => {
    const page = readPage(path);
    const reader = new Reader();
    await reader.prepare();
    if (!BEGIN_STOPPED.has(path)) expect(await reader.shell('aiwgd start')).toMatchObject({ code: 0 });
    let count = 0;
    for (const block of page.blocks) {
      const ran = await reader.follow(block);
      if (ran === undefined) continue;
      count += 1;
      expect(ran, `${path}:${block.line}\n${block.text}`).toMatchObject({ code: 0, signal: null });
    }
    expect(count, 'examples that were run').toBeGreaterThan(1);
  });
});

describe('configurations', () => {
  const configs = allPages().flatMap((page: Page) =>
    page.blocks
      .filter(({ language, marks }) => language === 'json' && marks.includes('config'))
      .map((block) => ({ place: `${page.path}:${block.line}`, text: block.text })),
  );

  test('there are some', () => expect(configs.length).toBeGreaterThan(4));

  test.each(configs)('of $place are valid', ({ place, text }) => {
    expect(parseConfig(text, place)).toMatchObject({ ok: true, warnings: [] });
  });
});
