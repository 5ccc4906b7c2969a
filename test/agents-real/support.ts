import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const FAKE = fileURLToPath(new URL('../fakes/fake-anthropic.mjs', import.meta.url));

/** Longest that one run of an agent may take before it is killed. */
const RUN_LIMIT_MS = 60_000;

/** The agent program that `npm run test:agents` installed. */
export function claudeProgram(): string {
  const program = process.env['AIWGD_CLAUDE_PROGRAM'];
  if (program === undefined) throw new Error('No agent program: run these tests with `npm run test:agents`.');
  return program;
}

/** One request that the fake has seen, as far as the tests read it. */
export interface FakeRequest {
  path: string;
  auth: 'x-api-key' | 'bearer' | 'none';
  behaviour?: string;
  /** Without tools: for a title and the like. Uses up nothing of the script. */
  side?: boolean;
  /** How many messages the conversation had. */
  nmsg?: number;
  firstUser?: unknown;
  lastUser?: unknown;
}

/** A fake of the model's API on loopback; its head comment lists the behaviours that a script is made of. */
export class FakeAnthropic implements AsyncDisposable {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(script: string[] = []): Promise<FakeAnthropic> {
    const child = spawn(process.execPath, [FAKE], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PORT: '0', SCRIPT: JSON.stringify(script) },
    });
    for await (const line of createInterface(child.stdout)) {
      const { listening } = JSON.parse(line) as { listening: number };
      return new FakeAnthropic(child, listening);
    }
    throw new Error('The fake ended before it listened.');
  }

  /** What it plays from now on. */
  async play(script: string[]): Promise<void> {
    await fetch(`${this.url}/__script`, { method: 'POST', body: JSON.stringify({ script }) });
  }

  async requests(): Promise<FakeRequest[]> {
    return (await (await fetch(`${this.url}/__log`)).json()) as FakeRequest[];
  }

  /** Behaviours of the script that were played, in order. */
  async played(): Promise<string[]> {
    const requests = await this.requests();
    return requests.flatMap(({ behaviour, side }) =>
      behaviour === undefined || side === true ? [] : [behaviour],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit');
    if (this.#process.kill()) await ended;
  }
}

/** A folder with an empty home and an empty project, gone at the end of its scope. */
export class AgentFolder implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'aiwgd-agent-'));
  readonly home = mkdtempSync(join(this.root, 'home-'));
  readonly project = mkdtempSync(join(this.root, 'project-'));

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/**
 * The whole environment of an agent in a test, built from nothing: what the tests were started with (keys, the session
 * of another agent) must not reach it.
 */
export function agentEnvironment(home: string, apiUrl: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: home,
    TMPDIR: home,
    ANTHROPIC_BASE_URL: apiUrl,
    ANTHROPIC_API_KEY: 'dummy',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    CLAUDE_CODE_MAX_RETRIES: '0',
  };
}

/** One line of the agent's stream-json, as far as the tests read it. */
export interface AgentMessage {
  type: string;
  subtype?: string;
  is_error?: boolean;
  result?: string;
  session_id?: string;
  api_error_status?: number | null;
  total_cost_usd?: number;
  usage?: { input_tokens?: number };
  retry_delay_ms?: number;
  request_id?: string;
  /** Of a `control_request`. */
  request?: { subtype: string; tool_name: string; input: Record<string, unknown> };
}

export interface AgentRun {
  code: number | null;
  messages: AgentMessage[];
  /** The last message of type `result`. */
  result: AgentMessage | undefined;
  stderr: string;
}

const STREAMS = ['-p', '--output-format', 'stream-json', '--verbose'];

/** What a test does at a message of the agent: says something on its stdin, or ends it. */
export type Listener = (message: AgentMessage, agent: ChildProcess) => void;

/** Runs the agent once with the prompt on stdin, which is a plain file, and reads its stream-json. */
export async function runClaude(
  folder: AgentFolder,
  apiUrl: string,
  prompt: string,
  args: string[] = [],
  { env = {}, hear }: { env?: Record<string, string>; hear?: Listener } = {},
): Promise<AgentRun> {
  const file = join(folder.root, 'prompt');
  writeFileSync(file, prompt);
  const stdin = openSync(file, 'r');
  const child = spawn(claudeProgram(), [...STREAMS, ...args], {
    cwd: folder.project,
    env: { ...agentEnvironment(folder.home, apiUrl), ...env },
    stdio: [stdin, 'pipe', 'pipe'],
    timeout: RUN_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  closeSync(stdin);
  return readClaude(child, hear);
}

/** Runs the agent with a stdin that stays open, so that it can be answered. Whoever listens ends it. */
export async function talkToClaude(
  folder: AgentFolder,
  apiUrl: string,
  args: string[],
  hear: Listener,
): Promise<AgentRun> {
  const asking = ['--input-format', 'stream-json', '--permission-prompt-tool', 'stdio'];
  const child = spawn(claudeProgram(), [...STREAMS, ...asking, ...args], {
    cwd: folder.project,
    env: agentEnvironment(folder.home, apiUrl),
    stdio: 'pipe',
    timeout: RUN_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const prompt = { type: 'user', message: { role: 'user', content: 'please' } };
  child.stdin.write(`${JSON.stringify(prompt)}\n`);
  return readClaude(child, hear);
}

async function readClaude(child: ChildProcess, hear: Listener | undefined): Promise<AgentRun> {
  const messages: AgentMessage[] = [];
  const read = async (): Promise<void> => {
    for await (const line of createInterface(child.stdout!)) {
      const message = JSON.parse(line) as AgentMessage;
      messages.push(message);
      hear?.(message, child);
    }
  };
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [, stderr, [code]] = await Promise.all([read(), text(child.stderr!), ended]);
  return { code, messages, result: messages.findLast(({ type }) => type === 'result'), stderr };
}
