import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { identityOf, type ProcessIdentity } from '../platform/process-identity.js';
import { messageOf } from '../protocol/errors.js';
import type { FailureClass } from './agent-provider.js';

export interface LaunchRequest {
  program: string;
  args: readonly string[];
  env: Record<string, string>;
  /** Absolute. */
  cwd: string;
  /** Programs with a slash are relative to it. */
  projectRoot: string;
  /** Open files; `null` gives the agent an empty stdin. */
  stdin: number | null;
  stdout: number;
  stderr: number;
}

export interface ProcessExit {
  exitCode: number | null;
  signal: string | null;
}

/** A launched agent, the leader of its own session and process group. */
export interface AgentProcess {
  /** Undefined when it could not be launched; `exited` says why. */
  readonly pid: number | undefined;
  /** Undefined once it has ended. */
  identity(): ProcessIdentity | undefined;
  /** Rejects with a `LaunchRefused` or a `LaunchFault`. */
  readonly exited: Promise<ProcessExit>;
}

/** Launches agents and watches them: the one place that knows how a process comes to be. */
export interface Launcher {
  launch(request: LaunchRequest): AgentProcess;
}

/** The agent cannot be launched so; trying again would change nothing. */
export class LaunchRefused extends Error {
  override readonly name = 'LaunchRefused';
  readonly failureClass: FailureClass;

  constructor(message: string, failureClass: FailureClass, cause: unknown) {
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

/** Launches agents as children of this process. */
export const spawnLauncher: Launcher = {
  launch(request) {
    const program = request.program.includes('/')
      ? resolve(request.projectRoot, request.program)
      : request.program;
    let child: ReturnType<typeof spawn>;
    try {
      child = spawn(program, request.args, {
        cwd: request.cwd,
        env: request.env,
        detached: true,
        stdio: [request.stdin ?? 'ignore', request.stdout, request.stderr],
      });
    } catch (error) {
      const exited = Promise.reject<ProcessExit>(launchError(error, program, request));
      return { pid: undefined, identity: () => undefined, exited };
    }
    let gone = false;
    const exited = new Promise<ProcessExit>((done, refuse) => {
      child.once('error', (error) => refuse(launchError(error, program, request)));
      child.once('exit', (exitCode, signal) => {
        gone = true;
        done({ exitCode, signal });
      });
    });
    // Until the exit was seen the pid is not given to anybody else, for nobody has waited for the process.
    const identity = (): ProcessIdentity | undefined =>
      gone || child.pid === undefined ? undefined : identityOf(child.pid);
    return { pid: child.pid, identity, exited };
  },
};

const MACHINE_FAULTS = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM', 'ENOSPC', 'EDQUOT', 'EIO']);

function launchError(error: unknown, program: string, request: LaunchRequest): LaunchRefused | LaunchFault {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && MACHINE_FAULTS.has(code)) return new LaunchFault(error);
  if (!isFolder(request.cwd)) {
    return new LaunchRefused(`The task's folder ${request.cwd} does not exist`, 'bad_arguments', error);
  }
  if (code === 'E2BIG') {
    const message = `The arguments and environment for ${program} are too long for the system; hand the prompt over on stdin`;
    return new LaunchRefused(message, 'bad_arguments', error);
  }
  if (code === 'ERR_INVALID_ARG_VALUE') {
    return new LaunchRefused(`${program} cannot be started: ${messageOf(error)}`, 'bad_arguments', error);
  }
  return new LaunchRefused(whyNot(program, code, error), 'agent_missing', error);
}

function whyNot(program: string, code: string | undefined, error: unknown): string {
  if (!program.includes('/')) {
    return code === 'ENOENT'
      ? `The program "${program}" was not found on PATH; install it, or set the agent's program to its path`
      : `The program "${program}" on PATH cannot be run (${code ?? messageOf(error)})`;
  }
  if (isFolder(program)) return `${program} is a directory, not a program`;
  if (!isExecutable(program)) {
    if (code === 'ENOENT')
      return `The program ${program} does not exist; set the agent's program to the right path`;
    if (code === 'EACCES') return `The program ${program} is not executable; try: chmod +x ${program}`;
  }
  return code === 'ENOENT'
    ? `The program ${program} cannot be run: the interpreter in its first line does not exist`
    : `The program ${program} cannot be run (${code ?? messageOf(error)}): is it made for this machine?`;
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
