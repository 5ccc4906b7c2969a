import type { Writable } from 'node:stream';

/** What may wait for a reader that does not read, in bytes. */
const MAX_WAITING_BYTES = 256 * 1024;

/**
 * Shows the log of a daemon in the foreground on its stdout. A reader that has gone or does not read can neither end nor
 * fill the daemon: lines that find no room are left out, and their number is said when there is room again. The log's
 * file has all of them.
 */
export function terminalEcho(stdout: Writable): (line: string) => void {
  let gone = false;
  let leftOut = 0;
  stdout.on('error', () => {
    gone = true;
  });
  return (line) => {
    if (gone) return;
    if (stdout.writableLength > MAX_WAITING_BYTES) {
      leftOut += 1;
      return;
    }
    if (leftOut > 0) {
      stdout.write(`${JSON.stringify({ level: 'warn', msg: 'log lines not shown here', lines: leftOut })}\n`);
    }
    leftOut = 0;
    stdout.write(line);
  };
}
