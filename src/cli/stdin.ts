import { readFileSync } from 'node:fs';
import { AiwgdError } from '../protocol/errors.js';

/** All of stdin, without one trailing newline. */
export function readStdin(): string {
  try {
    return readFileSync(0, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAGAIN') {
      throw new AiwgdError('USAGE', 'stdin cannot be read at once; put a file or a pipe there.', {
        cause: error,
      });
    }
    // A closed stdin holds nothing.
    if (code === 'EBADF' || code === 'EOF') return '';
    throw error;
  }
}

/** An id from the command line; `-` takes it from stdin. */
export function idArgument(args: readonly string[]): string {
  return idOf(args[0] ?? '');
}

/** As `idArgument`, from an option; `{}` where that was not given. */
export function ruleOption(rule: string | undefined): { ruleId?: string } {
  return rule === undefined ? {} : { ruleId: idOf(rule) };
}

function idOf(given: string): string {
  const id = given === '-' ? readStdin().trim() : given;
  if (id === '') throw new AiwgdError('USAGE', 'The id is empty.');
  return id;
}
