import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { onTestFinished } from 'vitest';
import { CLI, type Project } from './support.js';

/** The official client, connected to `aiwgd mcp` of a project. */
export interface Mcp {
  client: Client;
  /** What the server has said for people so far. */
  stderr: () => string;
  toolNames: () => Promise<string[]>;
  call: (name: string, args?: Record<string, unknown>) => Promise<CallToolResult>;
  /** As `call`; the test fails where the answer is an error. Answers the structured content. */
  ok: <T = Record<string, unknown>>(name: string, args?: Record<string, unknown>) => Promise<T>;
}

/** Starts `aiwgd mcp` in an environment built from nothing and shakes hands with it. */
export async function connectMcp(project: Project, args: string[] = []): Promise<Mcp> {
  // The SDK's transport adds variables of ours to what it is given: `env -i` takes them away again.
  const variables = Object.entries(project.env).map(([name, value]) => `${name}=${value}`);
  const transport = new StdioClientTransport({
    command: '/usr/bin/env',
    args: ['-i', ...variables, process.execPath, CLI, 'mcp', ...args],
    cwd: project.root,
    stderr: 'pipe',
  });
  let stderr = '';
  transport.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const client = new Client({ name: 'aiwgd-test', version: '1' });
  onTestFinished(() => client.close());
  await client.connect(transport);
  const call: Mcp['call'] = async (name, input = {}) =>
    (await client.callTool({ name, arguments: input })) as CallToolResult;
  return {
    client,
    stderr: () => stderr,
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    call,
    ok: async <T>(name: string, input?: Record<string, unknown>) => {
      const answer = await call(name, input);
      if (answer.isError === true) throw new Error(`${name}: ${textOf(answer)}`);
      return answer.structuredContent as T;
    },
  };
}

/** The words of an answer. */
export function textOf({ content }: CallToolResult): string {
  return content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join('\n');
}

/** The code of an error answer. */
export function codeOf({ isError, structuredContent }: CallToolResult): unknown {
  return isError === true ? (structuredContent as { error: { code: string } }).error.code : undefined;
}

/** `aiwgd mcp` without a client: a test writes the lines itself. */
export class RawMcp {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Resolves with the exit code, or the signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
  stdout = '';
  stderr = '';

  constructor(project: Project, args: string[] = []) {
    this.process = spawn(process.execPath, [CLI, 'mcp', ...args], {
      cwd: project.root,
      env: project.env,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.process.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.process.stdin.on('error', () => undefined);
    this.ended = once(this.process, 'close').then(([code, signal]) => (code ?? signal) as number);
    onTestFinished(() => void this.process.kill('SIGKILL'));
  }

  /** Reads what the server writes. */
  listen(): this {
    this.process.stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    return this;
  }

  /** How many whole lines there were so far. */
  lines(): number {
    return this.stdout.split('\n').length - 1;
  }

  /** Every whole line so far, as JSON: anything else on stdout fails the test. */
  messages(): { id?: unknown; result?: unknown; error?: { code: number; message: string } }[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as object);
  }

  answerTo(id: number): ReturnType<RawMcp['messages']>[number] | undefined {
    return this.messages().find((message) => message.id === id);
  }

  send(...messages: object[]): this {
    this.process.stdin.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
    return this;
  }

  initialize(): this {
    return this.send(
      request(0, 'initialize', {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'raw', version: '1' },
      }),
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    );
  }

  residentMiB(): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }
}

export function request(id: number, method: string, params: object = {}): object {
  return { jsonrpc: '2.0', id, method, params };
}

export function toolCall(id: number, name: string, args: object = {}): object {
  return request(id, 'tools/call', { name, arguments: args });
}
