// The agent of `aiwgd demo`: a program of its own, as any `command` agent is. It reads its prompt from stdin, says what it
// does over two seconds, and leaves a line in NOTES.md of the project.
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const STEP_MS = 400;
const prompt = readFileSync(0, 'utf8').trim();
const note = `- ${prompt}\n`;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

say(`got the prompt: ${prompt}`);
for (const step of ['reading the project', 'thinking', 'editing NOTES.md']) {
  await pause(STEP_MS);
  say(step);
}
await pause(STEP_MS);
// After a reboot, say, another attempt follows, so the work is made to be safe to repeat.
if (!readFileSync('NOTES.md', 'utf8').includes(note)) appendFileSync('NOTES.md', note);
say('done');
