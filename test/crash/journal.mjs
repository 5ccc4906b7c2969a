// What the agents themselves wrote down: their side of the story.
import { readFileSync } from 'node:fs';

/** The runs of agents in the order of their starts: `{taskId, attemptId, pid, ticks, start, last, end}`, times in seconds since boot. */
export function readJournal(path) {
  return parseJournal(readFileSync(path, 'utf8'));
}

export function parseJournal(text) {
  const runs = [];
  const latest = new Map();
  for (const line of text.split('\n')) {
    const [what, taskId, attemptId, at, ...rest] = line.split(' ');
    if (what === 'start') {
      const run = {
        taskId,
        attemptId,
        pid: Number(rest[0]),
        ticks: Number(rest[1]),
        start: Number(at),
        last: Number(at),
        end: null,
      };
      runs.push(run);
      latest.set(attemptId, run);
      continue;
    }
    const run = latest.get(attemptId);
    if (run === undefined) continue;
    run.last = Number(at);
    if (what === 'end') run.end = Number(at);
  }
  return runs;
}

/** Runs by the id of their task. */
export function byTask(runs) {
  const map = new Map();
  for (const run of runs) map.set(run.taskId, [...(map.get(run.taskId) ?? []), run]);
  return map;
}
