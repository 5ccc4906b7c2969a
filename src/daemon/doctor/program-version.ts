import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { endTree, reapStrays } from '../../agents/process-tree.js';
import { ATTEMPT_MARK, PROJECT_MARK } from '../../platform/attempt-marks.js';
import { type Clock, sleep } from '../../platform/clock.js';
import { identityOf } from '../../platform/process-identity.js';

/** All that a program needs to say its version: no token goes there. */
const PASSED_ON = ['PATH', 'HOME', 'LANG'];
const LIMIT_MS = 5_000;
const GRACE_MS = 200;
const LAST_WORDS_MS = 500;
const MAX_OUTPUT_BYTES = 4 * 1024;
const MAX_SHOWN_CHARACTERS = 80;
/** Begins the mark of each program that is asked, so that a later daemon knows those of one that was killed. */
const ASKED = 'doctor-';
/** Marks of the programs that this daemon asks just now. */
const asking = new Set<string>();

export interface VersionRequest {
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
 * The first line that `<program> --version` prints. Nothing that it started is left. Throws an error whose message goes
 * on after the program's name: it cannot be run, did not end in time, ended with an error, said nothing.
 */
export async function programVersion({
  path,
  cwd,
  environment,
  clock,
  signal,
}: VersionRequest): Promise<string> {
  signal?.throwIfAborted();
  const mark = `${ASKED}${randomUUID()}`;
  const env: Record<string, string> = { [ATTEMPT_MARK]: mark, [PROJECT_MARK]: cwd };
  for (const name of PASSED_ON) {
    const value = environment[name];
    if (value !== undefined) env[name] = value;
  }
  const child = spawn(path, ['--version'], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  asking.add(mark);
  const output = collect(child);
  try {
    const exit = await exitOf(child, clock, signal);
    if (exit === undefined) throw new Error(`--version did not end within ${LIMIT_MS / 1_000} seconds`);
    if (exit !== 0) throw new Error(`--version ended with ${exit}`);
  } finally {
    try {
      if (child.pid !== undefined) {
        await endTree({ attemptId: mark, leader: identityOf(child.pid), graceMs: GRACE_MS, clock });
      }
    } finally {
      asking.delete(mark);
    }
  }
  const line = await firstLine(child, output, clock);
  if (line === '') throw new Error('--version printed nothing');
  return line;
}

function collect(child: ChildProcess): Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    if (size < MAX_OUTPUT_BYTES) chunks.push(chunk);
    size += chunk.length;
  });
  return chunks;
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

async function firstLine(child: ChildProcess, output: readonly Buffer[], clock: Clock): Promise<string> {
  const { stdout } = child;
  if (stdout !== null && !stdout.closed) {
    const patience = new AbortController();
    await Promise.race([once(stdout, 'close'), sleep(clock, LAST_WORDS_MS, patience.signal)]);
    patience.abort();
    stdout.destroy();
  }
  const [line = ''] = Buffer.concat(output).toString('utf8', 0, MAX_OUTPUT_BYTES).trim().split('\n', 1);
  return line.replaceAll(/[^\x20-\x7e]/gu, '').slice(0, MAX_SHOWN_CHARACTERS);
}
