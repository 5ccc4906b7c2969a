import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { gateAnswerer } from '#aiwgd/daemon/gate-answerer.js';
import type { Handlers } from '#aiwgd/ipc/rpc-server.js';
import { RpcServer } from '#aiwgd/ipc/rpc-server.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import { startTimeOf } from '#aiwgd/platform/process-identity.js';
import type { Gate } from '#aiwgd/protocol/automation.js';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import { endNow, tempFolder, until } from '../support/temp.js';

const CLIENT = fileURLToPath(new URL('asks-the-daemon.mjs', import.meta.url));
const PROJECT = '/home/alice/shop';
const MARKS = { AIWG_ATTEMPT_ID: 'a-1', AIWG_PROJECT: PROJECT, AIWG_TASK_ID: 'task-0007' };
const { username, uid } = userInfo();

interface Desk {
  path: string;
  /** What each call came to: who answered, or the error. */
  outcomes: (string | AiwgdError)[];
}

/** A daemon's socket; `before` holds a call up. */
async function openDesk(before = async (): Promise<void> => {}): Promise<Desk> {
  const path = join(tempFolder(), 'daemon', 'daemon.sock');
  const outcomes: Desk['outcomes'] = [];
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const approve: Handlers['gate.approve'] = async (_params, context) => {
    await before();
    try {
      const { by } = gateAnswerer(context, PROJECT);
      outcomes.push(by);
      return { answeredBy: by } as Gate;
    } catch (error) {
      outcomes.push(error as AiwgdError);
      throw error;
    }
  };
  const server = new RpcServer({
    address: path,
    handlers: { 'gate.approve': approve } as Handlers,
    events: { subscribe: () => ({ close: () => {} }) },
    output: { attempt: async () => undefined, read: async () => ({ data: '', nextOffset: 0, eof: true }) },
    log: silent,
    clock: systemClock,
    version: '1',
  });
  onTestFinished(() => server.close());
  await server.listen();
  return { path, outcomes };
}

/** Runs a program with just these variables and returns what it printed. */
async function run(argv: string[], env: Record<string, string>): Promise<string> {
  const child = spawn(argv[0]!, argv.slice(1), {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child, 'close');
  return text;
}

function refused(outcome: string | AiwgdError | undefined): AiwgdError {
  expect(outcome).toBeInstanceOf(AiwgdError);
  return outcome as AiwgdError;
}

describe.runIf(process.platform === 'linux')('who answers a gate', () => {
  test('is the user of the process at the other end', async () => {
    const { path, outcomes } = await openDesk();
    await run([process.execPath, CLIENT, path], {});
    expect(outcomes).toEqual([`uid ${uid} (${username}) over the socket`]);
  });

  test('is not an agent of this project, and it is told so', async () => {
    const { path, outcomes } = await openDesk();
    const answer = await run([process.execPath, CLIENT, path], MARKS);
    const error = refused(outcomes[0]);
    expect(error.code).toBe('CONFLICT');
    expect(error.message).toBe('Gates are answered by people; this call came from the agent of task-0007.');
    expect(JSON.parse(answer)).toMatchObject({
      error: { message: error.message, data: { taskId: 'task-0007' } },
    });
  });

  test('is not what an agent started without its marks', async () => {
    const { path, outcomes } = await openDesk();
    await run(['sh', '-c', `env -i "$0" "$1" "$2"; true`, process.execPath, CLIENT, path], MARKS);
    expect(refused(outcomes[0]).message).toMatch('task-0007');
  });

  test('is not what an agent left behind in its session', async () => {
    // Its parent ends before it calls; the session's leader, which carries the marks, is still there.
    const { path, outcomes } = await openDesk();
    const orphan = `(env -i sh -c 'sleep 0.2; exec "$0" "$1" "$2"' "$0" "$1" "$2" &) ; sleep 5 & wait $!`;
    const leader = spawn('sh', ['-c', orphan, process.execPath, CLIENT, path], {
      env: { PATH: process.env['PATH'] ?? '', ...MARKS },
      stdio: 'ignore',
      detached: true,
    });
    onTestFinished(() => {
      if (leader.pid !== undefined && startTimeOf(leader.pid) !== undefined) {
        try {
          process.kill(-leader.pid, 'SIGKILL');
        } catch {
          endNow(leader.pid);
        }
      }
    });
    await until('the orphan has called', () => outcomes.length > 0);
    expect(refused(outcomes[0]).message).toMatch('task-0007');
  });

  test('may be an agent of another project', async () => {
    const { path, outcomes } = await openDesk();
    await run([process.execPath, CLIENT, path], { ...MARKS, AIWG_PROJECT: '/home/alice/other' });
    expect(outcomes[0]).toMatch(`uid ${uid}`);
  });

  test('is nobody who has gone before the answer was taken', async () => {
    let gone = (): void => {};
    const left = new Promise<void>((resolve) => (gone = resolve));
    const { path, outcomes } = await openDesk(() => left);
    await run([process.execPath, CLIENT, path, 'leave'], MARKS);
    gone();
    await until('the call was judged', () => outcomes.length > 0);
    expect(refused(outcomes[0]).message).toMatch('has gone');
  });
});
