import { stripVTControlCharacters } from 'node:util';
import { messageOf } from '../protocol/errors.js';
import { endOfText } from './agent-provider.js';
import type { ShortCommands } from './short-command.js';

/** What judges the work of an agent after it says it is done. */
export interface Verification {
  /** Program and arguments; exit code 0 accepts the work. */
  command: readonly string[];
  /** How often the agent may mend what was not accepted. */
  rounds: number;
}

/** Why work was not accepted. */
export interface Feedback {
  /** 1 for the first work that was not. */
  round: number;
  /** As JSON, cut where it is long. */
  command: string;
  /** How the command ended: `exit 1`. */
  ended: string;
  /** The end of what it printed. */
  output: string;
}

/** With the words around it, and with every quote escaped, below what the store keeps. */
const SHOWN_BYTES = 6 * 1024;
const MAX_COMMAND_CHARACTERS = 500;

export interface VerificationRun {
  verification: Verification;
  /** By which its processes are found: the id of the attempt that it judges. */
  mark: string;
  taskId: string;
  folder: string;
  env: Readonly<Record<string, string>>;
  allow: readonly string[];
  timeoutMs: number;
  signal: AbortSignal;
}

/** Judges finished work. Undefined for accepted; rejects only where it was told to stop. */
export async function verify(
  commands: ShortCommands,
  run: VerificationRun,
  round: number,
): Promise<Feedback | undefined> {
  const { verification, signal, folder, ...rest } = run;
  const { command } = verification;
  const shown = JSON.stringify(command).slice(0, MAX_COMMAND_CHARACTERS);
  const said = (ended: string, output: string): Feedback => ({
    round,
    command: shown,
    ended,
    output: endOfText(plainText(output), SHOWN_BYTES),
  });
  try {
    const { exitCode, timedOut, output } = await commands.run({
      ...rest,
      command,
      cwd: folder,
      stdin: '',
      signal,
      keep: { streams: 'both', bytes: SHOWN_BYTES },
    });
    signal.throwIfAborted();
    if (exitCode === 0) return undefined;
    const ended = timedOut ? `no end within ${run.timeoutMs / 1000} s` : `exit ${exitCode ?? 'by a signal'}`;
    return said(ended, output);
  } catch (error) {
    signal.throwIfAborted();
    return said('it could not be run', messageOf(error));
  }
}

/** As the store keeps it for the next attempt. */
export function storedFeedback(feedback: Feedback): string {
  return JSON.stringify(feedback);
}

/** Without colours and control characters, which mean nothing to an agent. */
function plainText(output: string): string {
  return stripVTControlCharacters(output).replaceAll(/[^\P{Cc}\n\t]/gu, '');
}

/** Undefined for a text that is none. */
export function parseFeedback(text: string): Feedback | undefined {
  try {
    const { round, command, ended, output } = JSON.parse(text) as Partial<Feedback>;
    if (typeof round !== 'number' || typeof command !== 'string') return undefined;
    return { round, command, ended: ended ?? '', output: output ?? '' };
  } catch {
    // Cut off, or of another version: the agent begins without it.
    return undefined;
  }
}

/** What the agent is told. */
export function feedbackText({ command, ended, output }: Feedback): string {
  const said = output.trim() === '' ? 'It printed nothing.' : `Its output ends so:\n\n${output.trim()}`;
  return (
    `You said that you were done. Your work was then checked with this command, and the check failed (${ended}): ` +
    `${command}\n${said}\n\nMend your work so that the check passes.\n`
  );
}

/** The error of a task whose work was never accepted. */
export function verificationError({ round, command, ended, output }: Feedback): string {
  const times = round === 1 ? 'once' : `${round} times`;
  const last = endOfText(output.trim(), 2 * 1024);
  return `The agent said that it was done, but ${command} failed ${times} (${ended})${last === '' ? '' : `: ${last}`}`;
}
