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
  const id = args[0] === '-' ? readStdin().trim() : (args[0] ?? '');
  if (id === '') throw new AiwgdError('USAGE', 'The id is empty.');
  return id;
}
