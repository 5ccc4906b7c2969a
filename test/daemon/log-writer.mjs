// Logs numbered lines until it is killed, and tells the number of each one that `write` has taken.
import { writeSync } from 'node:fs';
import { LogFile } from '#aiwgd/daemon/log-file.js';

const [path, first, maxBytes, maxFiles] = process.argv.slice(2);
const log = new LogFile({ path, maxBytes: Number(maxBytes), maxFiles: Number(maxFiles), onFault: () => {} });
for (let n = Number(first); ; n += 1) {
  log.write(`${JSON.stringify({ n, text: 'x'.repeat((n * 37) % 120) })}\n`);
  writeSync(1, `${n}\n`);
}
