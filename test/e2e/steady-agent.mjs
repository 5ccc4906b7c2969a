// An agent that writes numbered lines, some 100 KB/s on each of stdout and stderr, until there is a file `go` in its
// folder; then it says how many there were. Every run leaves a line in `runs`.
import { appendFileSync, existsSync, writeSync } from 'node:fs';

const LINES_AT_ONCE = 10;

appendFileSync('runs', `${process.env.AIWG_ATTEMPT_ID}\n`);

let count = 0;
const timer = setInterval(() => {
  for (const [file, stream] of [
    [1, 'stdout'],
    [2, 'stderr'],
  ]) {
    let text = '';
    for (let line = count; line < count + LINES_AT_ONCE; line += 1)
      text += `${stream} ${line} ${'ü'.repeat(45)}\n`;
    const bytes = Buffer.from(text);
    // Torn in the middle of a character.
    writeSync(file, bytes, 0, bytes.length - 2);
    writeSync(file, bytes, bytes.length - 2, 2);
  }
  count += LINES_AT_ONCE;
  if (!existsSync('go')) return;
  clearInterval(timer);
  writeSync(1, `end ${count}\n`);
}, 10);
