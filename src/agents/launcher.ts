import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { spawnDetached } from '../platform/detached-process.js';
import { messageOf } from '../protocol/errors.js';
import type { FailureClass } from './agent-provider.js';
import { RUNNER_SCRIPT, RUNNER_SHELL } from './runner.js';

export interface LaunchRequest {
  program: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Absolute. */
  cwd: string;
  /** Programs with a slash are relative to it. */
  projectRoot: string;
}

/** Open files for the runner and its agent. */
export interface LaunchFiles {
  stdin: number;
  stdout: number;
  stderr: number;
  record: number;
}

/** The agent cannot be launched so; trying again would change nothing. */
export class LaunchRefused extends Error {
  override readonly name = 'LaunchRefused';
  readonly failureClass: FailureClass;

  constructor(message: string, failureClass: FailureClass, cause?: unknown) {
    super(message, { cause });
    this.failureClass = failureClass;
  }
}

/** The machine is short of something (files, memory, disk): not the agent's fault, and it passes. */
export class LaunchFault extends Error {
  override readonly name = 'LaunchFault';

  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

/**
 * The program as an absolute path, looked at before anything is started: what a shell says about a program that it
 * cannot run is told from what the program says only in words. Throws a `LaunchRefused`.
 */
export function findProgram(request: LaunchRequest): string {
  const { program, env, cwd, projectRoot } = request;
  if (!isFolder(cwd)) throw new LaunchRefused(`The task's folder ${cwd} does not exist`, 'bad_arguments');
  const path = program.includes('/')
    ? resolve(projectRoot, program)
    : onPath(program, env['PATH'] ?? '', cwd);
  const fault = whyNot(path);
  if (fault !== undefined) throw new LaunchRefused(fault, 'agent_missing');
  return path;
}

/**
 * Starts a runner that starts the agent. `onExit` is called when the runner has ended, if this process still lives.
 * Answers the runner's pid. Throws a `LaunchRefused` or a `LaunchFault`.
 */
export function launch(
  program: string,
  request: LaunchRequest,
  files: LaunchFiles,
  onExit: () => void,
): number {
  try {
    return spawnDetached(
      {
        program: RUNNER_SHELL,
        argv: ['sh', '-c', RUNNER_SCRIPT, 'aiwgd-runner', program, ...request.args],
        env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
        cwd: request.cwd,
        files: [files.stdin, files.stdout, files.record, files.stderr],
      },
      onExit,
    );
  } catch (error) {
    throw launchError(error, program);
  }
}

/** What a request itself can bring about; all else is the machine's. */
function launchError(error: unknown, program: string): LaunchRefused | LaunchFault {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'E2BIG':
      return new LaunchRefused(
        `The arguments and environment for ${program} are too long for the system; hand the prompt over on stdin`,
        'bad_arguments',
        error,
      );
    case 'ERR_INVALID_ARG_VALUE':
    case 'EACCES':
      return new LaunchRefused(`${program} cannot be started: ${messageOf(error)}`, 'bad_arguments', error);
    case undefined:
    default:
      return new LaunchFault(error);
  }
}

function onPath(program: string, searched: string, cwd: string): string {
  let unfit: string | undefined;
  for (const folder of searched.split(delimiter)) {
    const path = join(resolve(cwd, folder), program);
    // Most folders do not have it; this way of asking makes no error for each of them.
    if (!existsSync(path) || isFolder(path)) continue;
    if (isExecutable(path)) return path;
    unfit ??= path;
  }
  throw new LaunchRefused(
    unfit === undefined
      ? `The program "${program}" was not found on PATH; install it, or give its path in the configuration`
      : `The program "${program}" on PATH cannot be run: ${unfit} is not executable; try: chmod +x ${unfit}`,
    'agent_missing',
  );
}

/** Why the file cannot be run; undefined where nothing speaks against it. */
function whyNot(path: string): string | undefined {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return `${path} is a directory, not a program`;
    if (!isExecutable(path)) return `The program ${path} is not executable; try: chmod +x ${path}`;
    if (!stat.isFile()) return `${path} is not a file that can be run`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT'
      ? `The program ${path} does not exist; correct its path in the configuration`
      : `The program ${path} cannot be run (${code ?? messageOf(error)})`;
  }
  return whyNotFormat(path);
}

const HEAD_BYTES = 256;

/** Only a script names what it needs; for all else the system knows best. */
function whyNotFormat(path: string): string | undefined {
  const head = headOf(path);
  if (head?.subarray(0, 2).toString('latin1') !== '#!') return undefined;
  const [interpreter = ''] = head
    .toString('utf8', 2)
    .trimStart()
    .split(/[\s\0]/u, 1);
  return isExecutable(interpreter)
    ? undefined
    : `The program ${path} cannot be run: the interpreter in its first line does not exist`;
}

/** The first bytes of a file; undefined for one that may be run but not read. */
function headOf(path: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // Nothing can be said against it: the system will.
    return undefined;
  }
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(file);
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // Missing, a loop of links, too long: no folder to be in.
    return false;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Any reason means no: the caller names it.
    return false;
  }
}
