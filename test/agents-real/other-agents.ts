import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { providerOf } from '#aiwgd/agents/agent-catalogue.js';
import { agentEnvironment } from '#aiwgd/agents/environment.js';
import { checkAgents } from '#aiwgd/daemon/doctor/agents-check.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { Project, runProgram } from '../e2e/support.js';
import { endNow, until } from '../support/temp.js';
import { agentPid } from './project.js';

const FAKE = fileURLToPath(new URL('../fakes/fake-openai-gemini.mjs', import.meta.url));

export interface ModelRequest {
  path: string;
  behaviour?: string;
  tools: string[];
  /** The body, as it came. */
  raw: string;
}

/** A fake of the APIs of OpenAI and Gemini on loopback; its head comment lists the words of a script. */
export class FakeModels implements AsyncDisposable {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(script: string[]): Promise<FakeModels> {
    const child = spawn(process.execPath, [FAKE], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PORT: '0', RAW: '1', SCRIPT: JSON.stringify(script) },
    });
    for await (const line of createInterface(child.stdout)) {
      const { listening } = JSON.parse(line) as { listening: number };
      return new FakeModels(child, listening);
    }
    throw new Error('The fake ended before it listened.');
  }

  /** Requests that played a part of the script. */
  async requests(): Promise<ModelRequest[]> {
    const all = (await (await fetch(`${this.url}/__log`)).json()) as ModelRequest[];
    return all.filter(({ tools }) => (tools?.length ?? 0) > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit');
    if (this.#process.kill()) await ended;
  }
}

/** A real program, and how it is set up so that it knows nothing but the fake. */
export interface RealAgent {
  provider: 'codex' | 'gemini' | 'opencode';
  /** Lets it use its tools. */
  permission: string[];
  /** Variables for it; writes whatever it wants below its home. */
  setUp: (home: string, apiUrl: string) => Record<string, string>;
  /** What a person reads on a refused key. */
  refusal: RegExp;
}

/** Whatever is not on loopback is refused at once: nothing listens there. */
const LOOPBACK_ONLY = {
  HTTP_PROXY: 'http://127.0.0.1:9',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  NO_PROXY: '127.0.0.1,localhost',
};

/** The variables of an agent, beside those of its project. */
function variablesOf(agent: RealAgent, project: Project, apiUrl: string): Record<string, string> {
  return { ...LOOPBACK_ONLY, ...agent.setUp(project.env['HOME'] ?? '', apiUrl) };
}

function programOf({ provider }: RealAgent): string {
  const program = process.env[`AIWGD_${provider.toUpperCase()}_PROGRAM`];
  if (program === undefined) throw new Error('No agent program: run these tests with `npm run test:agents`.');
  return program;
}

export function writeBelow(folder: string, path: string, content: string | object): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
}

function configOf(agent: RealAgent, more: object = {}): object {
  const { provider } = agent;
  return {
    default_agent: provider,
    agents: { [provider]: { provider, program: programOf(agent), ...more } },
  };
}

/** A daemon whose default agent is the real program and whose API is the fake, in an environment built from nothing. */
export async function daemonFor(agent: RealAgent, api: FakeModels, more: object = {}): Promise<Project> {
  const project = new Project({ config: configOf(agent, more) });
  Object.assign(project.env, variablesOf(agent, project, api.url));
  await project.start();
  return project;
}

interface DirectRun {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the program once as its provider would launch it for a task, from outside or not, in the project's folder. */
export async function runDirectly(
  agent: RealAgent,
  project: Project,
  apiUrl: string,
  { outside, ...config }: { outside: boolean; args?: string[] },
): Promise<DirectRun> {
  const provider = providerOf({
    provider: agent.provider,
    program: programOf(agent),
    ...config,
  });
  const launch = provider.prepare({
    prompt: 'hello',
    subAgent: null,
    resume: null,
    maxBudgetUsd: null,
    baseline: null,
    outside,
    allowed: [],
  });
  const env = agentEnvironment({
    base: { ...project.env, ...variablesOf(agent, project, apiUrl) },
    allow: provider.envFamily,
    provider: launch.env,
    fixed: {},
    eventFile: null,
    taskId: 'task-0001',
    attemptId: 'attempt',
    projectRoot: project.root,
  });
  return runProgram(launch.program, launch.args, { cwd: project.root, env, input: launch.stdin ?? '' });
}

/** What is asked of each of these programs alike. */
export function realAgentSuite(agent: RealAgent): void {
  const work = { args: agent.permission };
  const get = (project: Project) => project.json<Task>(['task', 'get', 'task-0001']);

  describe(`a task carried out by the real ${agent.provider}`, () => {
    it('ends completed, with its prompt to the last byte, its result, its session and its tokens', async () => {
      await using api = await FakeModels.start(['ok:The answer is forty-two.']);
      const project = await daemonFor(agent, api);
      const prompt = `--help "prompt" $(id)\nsecond line: ü\n${'x'.repeat(200_000)} END`;
      const waited = await project.run(['task', 'submit', '--wait', '-'], { input: prompt });
      expect(waited).toMatchObject({ code: 0, stdout: expect.stringContaining('The answer is forty-two.') });
      const task = await get(project);
      expect(task).toMatchObject({
        state: 'completed',
        result: 'The answer is forty-two.',
        error: null,
        attempt: 1,
        sessionId: expect.any(String),
        usage: expect.any(Object),
      });
      const [request] = await api.requests();
      expect(request?.raw).toContain(JSON.stringify(prompt).slice(1, -1));
      expect(project.agents()).toEqual([]);
    });

    it('ends failed with a message a person understands where the key is refused', async () => {
      await using api = await FakeModels.start(['401!']);
      const project = await daemonFor(agent, api);
      const ran = await project.run(['task', 'submit', 'hello', '--wait']);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(agent.refusal);
      expect(await get(project)).toMatchObject({ state: 'failed', attempt: 1 });
      expect(project.logTail()).not.toContain('dummy');
      expect(project.agents()).toEqual([]);
    });

    it('leaves nothing behind when it is cancelled in the middle of a tool', async () => {
      await using api = await FakeModels.start(['tool_bash:echo up > up; sleep 1000; echo x']);
      const project = await daemonFor(agent, api, work);
      await project.ok(['task', 'submit', 'work']);
      await until('its tool runs', () => existsSync(join(project.root, 'up')), 30_000);
      await project.ok(['task', 'cancel', 'task-0001']);
      expect(project.agents()).toEqual([]);
      expect((await get(project)).state).toBe('cancelled');
    });

    it('goes on in its session after it was killed, with its conversation and its permissions', async () => {
      await using api = await FakeModels.start([
        'tool_bash:echo up > up; sleep 1000; echo x',
        'tool_bash:echo again > again',
        'ok:Went on.',
      ]);
      const project = await daemonFor(agent, api, work);
      await project.ok(['task', 'submit', 'mend the parser']);
      await until('its tool runs', () => existsSync(join(project.root, 'up')), 30_000);
      const interrupted = await project.json<Task>(['task', 'get', 'task-0001']);
      endNow(await agentPid(project));
      await project.ok(['task', 'wait', 'task-0001']);
      const task = await get(project);
      expect(task).toMatchObject({ state: 'completed', result: 'Went on.', attempt: 2 });
      expect(existsSync(join(project.root, 'again'))).toBe(true);
      const last = (await api.requests()).at(-1)?.raw;
      expect(last).toContain('mend the parser');
      expect(last).toContain('You were interrupted');
      if (interrupted.sessionId !== null) expect(task.sessionId).toBe(interrupted.sessionId);
      expect(project.agents()).toEqual([]);
    });
  });

  it(`the help of the real ${agent.provider} has what the daemon uses`, async () => {
    const project = new Project();
    const text = JSON.stringify(configOf(agent));
    const parsed = parseConfig(text, project.paths.config);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const checks = await checkAgents({
      paths: projectPaths(project.root),
      configFile: project.paths.config,
      config: parsed.config,
      environment: project.env,
      clock: systemClock,
    });
    const check = checks.find(({ name }) => name === `agent ${agent.provider}`);
    expect(check).toMatchObject({ status: 'ok', detail: expect.stringMatching(/: .*\d+\.\d+\.\d+/) });
  });
}
