import type { Readable, Writable } from 'node:stream';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { type Clock, sleep } from '../../platform/clock.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import { VERSION } from '../../protocol/version.js';
import { visibleLine } from '../../protocol/visible-text.js';
import { cutText } from './bounded.js';
import { DaemonCalls } from './daemon-calls.js';
import type { Scope } from './scope.js';
import { StdioTransport } from './stdio-transport.js';
import { ToolCalls } from './tool-calls.js';
import { TOOLS } from './tools.js';

export interface ServeOptions {
  paths: ProjectPaths;
  scope: Scope;
  clock: Clock;
  cause: { cause?: string };
  input: Readable;
  output: Writable;
  /** One line for people, on stderr. */
  log: (text: string) => void;
}

/** A client that has ended its side gets answers so long. */
const LAST_ANSWERS_MS = 1_000;
const LOOK_EVERY_MS = 20;
/** A client that sends nonsense for ever fills no log. */
const MOST_COMPLAINTS = 100;

/**
 * Serves one MCP client until it ends its side. Rejects with LINE_TOO_LONG for a message over the limit. Stdout carries
 * the protocol and nothing else.
 */
export async function serveMcp(options: ServeOptions): Promise<void> {
  const { paths, scope, clock, cause, input, output } = options;
  const complain = complaints(options.log);
  const leaving = new AbortController();
  const daemon = new DaemonCalls({ paths, scope, clock, cause, leaving: leaving.signal });
  const calls = new ToolCalls(scope, { all: TOOLS, daemon, complain });
  const transport = new StdioTransport(input, output);
  const server = new Server(
    { name: 'aiwgd', version: VERSION },
    { capabilities: { tools: {} }, instructions: instructions(paths.root) },
  );
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's server has no other way
  server.onerror = complain;
  const tools = calls.list();
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal, sendNotification }) => {
    const progressToken = params._meta?.progressToken;
    let progress = 0;
    const tell = (message: string): void => {
      // Progress that nobody takes is not kept.
      if (transport.isClogged) return;
      progress += 1;
      sendNotification({
        method: 'notifications/progress',
        params: { progressToken: progressToken ?? 0, progress, message },
      }).catch(complain);
    };
    return calls.run({
      name: params.name,
      input: params.arguments,
      signal,
      progress: progressToken === undefined ? undefined : tell,
    });
  });
  await server.connect(transport);
  try {
    await transport.ended;
    leaving.abort(new AiwgdError('CONNECTION_LOST', 'The client has left.'));
    const last = clock.monotonic() + LAST_ANSWERS_MS;
    do await sleep(clock, LOOK_EVERY_MS);
    while (calls.slots.taken > 0 && clock.monotonic() < last);
  } finally {
    leaving.abort();
    await server.close();
  }
}

function complaints(log: (text: string) => void): (error: Error) => void {
  let made = 0;
  return (error) => {
    made += 1;
    if (made <= MOST_COMPLAINTS) log(cutText(visibleLine(messageOf(error)), 500));
    if (made === MOST_COMPLAINTS) log('Further faults of this client are not shown.');
  };
}

function instructions(project: string): string {
  return `aiwgd keeps coding agents at work in the background for the project ${project}. A task is a prompt that one of its agents carries out; it survives restarts. Submit with submit_task, follow with wait_task. An error DAEMON_NOT_RUNNING passes when somebody runs \`aiwgd start\` there.`;
}
