import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { type Paint, painter, wantsColor } from './color.js';

/** Where a command's results and problems go. */
export interface Output {
  /** Whether results are JSON documents. */
  readonly json: boolean;
  /** Whether a person looks at stdout. */
  readonly terminal: boolean;
  readonly paint: Paint;
  /** Width of the terminal; infinite where stdout is a pipe or a file, whose lines are never cut. */
  readonly columns: () => number;
  /** One line on stdout. */
  readonly line: (text?: string) => void;
  readonly write: (text: string) => void;
  /** As `write`, and waits until a slow reader has taken what was written before. */
  readonly stream: (text: string) => Promise<void>;
  /** One JSON document on stdout: on one line for programs, indented on a terminal. */
  readonly document: (value: unknown) => void;
  /** One JSON document on a line of its own, for streams. */
  readonly jsonLine: (value: unknown) => void;
  /** One line on stderr. */
  readonly problem: (text: string) => void;
  /** A piece of text on stderr, as it is. */
  readonly writeProblem: (text: string) => void;
}

let guarded = false;

/**
 * The reader of a pipe may go when it has enough (`aiwgd logs | head`): that ends us, and is no failure. A daemon in the
 * foreground lives on: its work is not what it prints.
 */
function guardAgainstClosedPipes(foreground: boolean): void {
  if (guarded) return;
  guarded = true;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (foreground) return;
      if (error.code === 'EPIPE') process.exit(0);
      if (stream === process.stdout) writeSync(2, `aiwgd: cannot write the result: ${error.message}\n`);
      process.exit(1);
    });
  }
}

export function openOutput(options: { json?: boolean; color?: boolean; foreground?: boolean }): Output {
  guardAgainstClosedPipes(options.foreground === true);
  const { stdout, stderr } = process;
  const terminal = stdout.isTTY;
  return {
    json: options.json === true,
    terminal,
    paint: painter(wantsColor(options.color !== false, process.env, stdout)),
    columns: () => (terminal ? stdout.columns || 80 : Number.POSITIVE_INFINITY),
    line: (text = '') => {
      stdout.write(`${text}\n`);
    },
    write: (text) => {
      stdout.write(text);
    },
    stream: async (text) => {
      if (text !== '' && !stdout.write(text)) await once(stdout, 'drain');
    },
    document: (value) => {
      stdout.write(`${JSON.stringify(value, null, terminal ? 2 : undefined)}\n`);
    },
    jsonLine: (value) => {
      stdout.write(`${JSON.stringify(value)}\n`);
    },
    problem: (text) => {
      stderr.write(`${text}\n`);
    },
    writeProblem: (text) => {
      stderr.write(text);
    },
  };
}
