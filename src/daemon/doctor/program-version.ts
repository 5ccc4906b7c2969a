import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { endTree, reapStrays } from '../../agents/process-tree.js';
import { ATTEMPT_MARK, PROJECT_MARK } from '../../platform/attempt-marks.js';
import { type Clock, sleep } from '../../platform/clock.js';
import { identityOf } from '../../platform/process-identity.js';

/** All that a program needs to say its version or its help: no token goes there. */
const PASSED_ON = ['PATH', 'HOME', 'LANG'];
const LIMIT_MS = 5_000;
const GRACE_MS = 200;
const LAST_WORDS_MS = 500;
const MAX_OUTPUT_BYTES = 64 * 1024;
const MAX_SHOWN_CHARACTERS = 80;
/** Begins the mark of each program that is asked, so that a later daemon knows those of one that was killed. */
const ASKED = 'doctor-';
/** Marks of the programs that this daemon asks just now. */
const asking = new Set<string>();

export interface ProgramRequest {
  /** Absolute. */
  path: string;
  /** The project's folder. */
  cwd: string;
  environment: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  signal?: AbortSignal;
}

/** Ends the programs that an earlier daemon of the project asked and, being killed, could not end. */
export async function endLeftPrograms(projectRoot: string, clock: Clock): Promise<void> {
  const isOurs = (mark: string): boolean => mark.startsWith(ASKED) && !asking.has(mark);
  await reapStrays({ projectRoot, isOurs, graceMs: GRACE_MS, clock });
}

/**
 * The first line that a program prints on stdout when it is asked for its version, `--version` where nothing else is
 * said. Throws as `programSays` does, and where it said nothing.
 */
export async function programVersion(
  request: ProgramRequest,
  args: readonly string[] = ['--version'],
): Promise<string> {
  const { stdout } = await programSays(request, args);
  const [line = ''] = stdout.trim().split('\n', 1);
  const shown = line.replaceAll(/[^\x20-\x7e]/gu, '').slice(0, MAX_SHOWN_CHARACTERS);
  if (shown === '') throw new Error(`${args.join(' ')} printed nothing`);
  return shown;
}

/**
 * What a program prints, 64 KiB of each stream at most. Nothing that it started is left. Throws an error whose message
 * goes on after the program's name: it cannot be run, did not end in time, ended with an error.
 */
export async function programSays(
  { path, cwd, environment, clock, signal }: ProgramRequest,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  signal?.throwIfAborted();
  const mark = `${ASKED}${randomUUID()}`;
  const env: Record<string, string> = { [ATTEMPT_MARK]: mark, [PROJECT_MARK]: cwd };
  for (const name of PASSED_ON) {
    const value = environment[name];
    if (value !== undefined) env[name] = value;
  }
  const child = spawn(path, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  asking.add(mark);
  const streams = [collect(child.stdout), collect(child.stderr)] as const;
  try {
    const exit = await exitOf(child, clock, signal);
    const asked = args.join(' ');
    if (exit === undefined) throw new Error(`${asked} did not end within ${LIMIT_MS / 1_000} seconds`);
    if (exit !== 0) throw new Error(`${asked} ended with ${exit}`);
  } finally {
    try {
      if (child.pid !== undefined) {
        await endTree({ attemptId: mark, leader: identityOf(child.pid), graceMs: GRACE_MS, clock });
      }
    } finally {
      asking.delete(mark);
    }
  }
  const [stdout, stderr] = await Promise.all(streams.map((stream) => wholeText(stream, clock)));
  return { stdout: stdout ?? '', stderr: stderr ?? '' };
}

interface Collected {
  stream: Readable;
  chunks: Buffer[];
}

function collect(stream: Readable): Collected {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size < MAX_OUTPUT_BYTES) chunks.push(chunk);
    size += chunk.length;
  });
  return { stream, chunks };
}

/** The exit code or the signal's name; undefined when the time is over. Throws why it could not be started. */
function exitOf(
  child: ChildProcess,
  clock: Clock,
  signal?: AbortSignal,
): Promise<number | string | undefined> {
  return new Promise((resolve, reject) => {
    const finish = (outcome?: number | string): void => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
      resolve(outcome);
    };
    const onAbort = (): void => finish();
    const timer = clock.setTimer(LIMIT_MS, () => finish());
    signal?.addEventListener('abort', onAbort, { once: true });
    child.once('exit', (code, name) => finish(code ?? name ?? undefined));
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(`cannot be run (${error.code ?? error.message})`));
      finish();
    });
  });
}

async function wholeText({ stream, chunks }: Collected, clock: Clock): Promise<string> {
  if (!stream.closed) {
    const patience = new AbortController();
    await Promise.race([once(stream, 'close'), sleep(clock, LAST_WORDS_MS, patience.signal)]);
    patience.abort();
    stream.destroy();
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_OUTPUT_BYTES);
}
