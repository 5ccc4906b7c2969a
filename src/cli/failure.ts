import { AiwgdError, type ErrorCode, messageOf } from '../protocol/errors.js';
import type { Output } from './output/output.js';
import { visibleText } from './output/text.js';

interface FailureDocument {
  error: { code: ErrorCode; message: string; data?: unknown };
}

/** What `--json` prints for a failed command. */
export function failureDocument(error: unknown): FailureDocument {
  if (!(error instanceof AiwgdError)) return { error: { code: 'INTERNAL_ERROR', message: messageOf(error) } };
  const { code, message, data } = error;
  return { error: data === undefined ? { code, message } : { code, message, data } };
}

/**
 * Says on stderr why a command failed (and with `--json` on stdout, as a document) and returns its exit code.
 * An error outside the catalogue is a fault of ours, so it comes with its stack.
 */
export function reportFailure(error: unknown, output: Output): number {
  if (output.json) output.document(failureDocument(error));
  const known = error instanceof AiwgdError;
  const text = known || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message);
  output.problem(`aiwgd: ${visibleText(text)}`);
  return known ? error.exitCode : 1;
}
