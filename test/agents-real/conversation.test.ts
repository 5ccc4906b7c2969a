import { spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { launch } from '#aiwgd/agents/launcher.js';
import { parseNotes, type RunnerNotes } from '#aiwgd/agents/runner.js';
import { endNow, until } from '../support/temp.js';
import { AgentFolder, type AgentMessage, agentEnvironment, claudeProgram, FakeAnthropic } from './support.js';

const { O_RDWR, O_NONBLOCK, O_CREAT, O_APPEND } = constants;

/** A line on a FIFO, from a process that has nothing to do with those that had it open before; it never waits. */
const SAY = `
  const { openSync, writeSync, constants } = require('node:fs');
  const fifo = openSync(process.argv[1], constants.O_WRONLY | constants.O_NONBLOCK);
  const line = Buffer.from(process.argv[2] + '\\n');
  if (writeSync(fifo, line) !== line.length) throw new Error('The FIFO is full');
`;

function say(fifo: string, message: object): void {
  const ran = spawnSync(process.execPath, ['-e', SAY, fifo, JSON.stringify(message)], {
    env: {},
    encoding: 'utf8',
  });
  if (ran.status !== 0) throw new Error(ran.stderr);
}

/** A claude under a runner, whose stdin is a FIFO that the agent itself holds open. */
class Conversation implements Disposable {
  readonly fifo: string;
  readonly #folder: AgentFolder;

  constructor(folder: AgentFolder, apiUrl: string) {
    this.#folder = folder;
    this.fifo = join(folder.root, 'stdin');
    if (spawnSync('mkfifo', [this.fifo]).status !== 0) throw new Error('No FIFO could be made');
    const take = (name: string): number => openSync(join(folder.root, name), O_RDWR | O_CREAT | O_APPEND);
    // For reading and writing: never without a writer, so the agent reads no end.
    const stdin = openSync(this.fifo, O_RDWR | O_NONBLOCK);
    const files = { stdin, stdout: take('stdout.log'), stderr: take('stderr.log'), record: take('runner') };
    const streams = ['--input-format', 'stream-json', '--output-format', 'stream-json', '--verbose'];
    launch(
      claudeProgram(),
      {
        program: claudeProgram(),
        args: ['-p', ...streams, '--permission-prompt-tool', 'stdio'],
        env: agentEnvironment(folder.home, apiUrl),
        cwd: folder.project,
        projectRoot: folder.project,
      },
      files,
      () => undefined,
    );
    // As if we had ended: whoever has something to say opens it anew.
    for (const file of Object.values(files)) closeSync(file);
  }

  get notes(): RunnerNotes {
    return parseNotes(readFileSync(join(this.#folder.root, 'runner'), 'utf8'));
  }

  get heard(): AgentMessage[] {
    return readFileSync(join(this.#folder.root, 'stdout.log'), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as AgentMessage);
  }

  /** Resolves with the first message of a type. */
  async hear(type: string): Promise<AgentMessage> {
    const find = (): AgentMessage | undefined => this.heard.find((message) => message.type === type);
    await until(`a message of type ${type}`, () => find() !== undefined, 30_000);
    return find()!;
  }

  [Symbol.dispose](): void {
    const { agent, exitCode } = this.notes;
    if (agent !== undefined && exitCode === undefined) endNow(agent.pid);
  }
}

describe('a claude under a runner, with a FIFO as stdin', () => {
  it('asks for a permission and gets it from another process than the one that launched it', async () => {
    using folder = new AgentFolder();
    await using fake = await FakeAnthropic.start(['tool_bash:touch made', 'ok:It is made.']);
    using claude = new Conversation(folder, fake.url);
    say(claude.fifo, { type: 'user', message: { role: 'user', content: 'make it' } });
    const question = await claude.hear('control_request');
    expect(question.request).toMatchObject({
      subtype: 'can_use_tool',
      tool_name: 'Bash',
      input: { command: 'touch made' },
    });
    expect(existsSync(join(folder.project, 'made'))).toBe(false);
    const answer = { behavior: 'allow', updatedInput: question.request?.input };
    const response = { subtype: 'success', request_id: question.request_id, response: answer };
    say(claude.fifo, { type: 'control_response', response });
    expect(await claude.hear('result')).toMatchObject({ is_error: false, result: 'It is made.' });
    expect(existsSync(join(folder.project, 'made'))).toBe(true);
    const { agent, exitCode } = claude.notes;
    expect(exitCode, 'it waits for more').toBeUndefined();
    process.kill(agent!.pid, 'SIGTERM');
    await until('the runner has noted the end', () => claude.notes.exitCode !== undefined);
    expect(claude.notes.exitCode).toBe(143);
    expect(await fake.played()).toEqual(['tool_bash:touch made', 'ok:It is made.']);
  });
});
