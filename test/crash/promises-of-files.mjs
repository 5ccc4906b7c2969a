// What is promised of the daemon's files and its history.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { LOG_LIMIT } from './lab-project.mjs';

/** A second, and what a busy machine takes to carry it out. */
const LOST_MS = 2000;

/** Whole JSON lines, in files of bounded number and size. */
export function theLogIsWholeAndBounded({ project }) {
  const broken = [];
  const names = readdirSync(project.daemonFolder).filter((name) => /^daemon\.log(\.\d+)?$/.test(name));
  if (names.length > LOG_LIMIT.files + 1)
    broken.push(`there are ${names.length} log files: ${names.join(', ')}`);
  for (const name of names) {
    const path = project.file(name);
    const lines = readFileSync(path, 'utf8').split('\n');
    if (lines.pop() !== '') broken.push(`${name} ends in the middle of a line`);
    for (const [index, line] of lines.entries()) {
      if (!isObject(line)) broken.push(`${name}, line ${index + 1}: ${JSON.stringify(line.slice(0, 120))}`);
    }
    const longest = Math.max(0, ...lines.map((line) => Buffer.byteLength(line) + 1));
    const { size } = statSync(path);
    if (size > LOG_LIMIT.bytes + longest) broken.push(`${name} has ${size} bytes of ${LOG_LIMIT.bytes}`);
  }
  return broken;
}

function isObject(line) {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}

/** The newest events, each once, in their order. */
export function theHistoryIsReadable({ history }) {
  const broken = [];
  if (history.length === 0) broken.push('the history is empty');
  const ids = new Set(history.map(({ id }) => id));
  if (ids.size < history.length) broken.push(`${history.length - ids.size} events are there twice`);
  for (const [index, event] of history.entries()) {
    const before = history[index - 1];
    if (before !== undefined && event.id < before.id)
      broken.push(`event ${event.id} (${event.type}) comes after ${before.id} (${before.type})`);
  }
  return broken;
}

/** What was told is kept, but for the last second before a kill. */
export function theHistoryKeepsWhatItTold({ history, ledger }) {
  const oldest = Date.parse(history[0]?.timestamp ?? '9999-01-01');
  const kept = new Set(history.map(({ id }) => id));
  return [...ledger.heard].flatMap(([id, at]) => {
    const mayBeGone =
      at <= oldest || kept.has(id) || ledger.deaths.some((death) => death >= at && death - at < LOST_MS);
    return mayBeGone
      ? []
      : [`event ${id} of ${new Date(at).toISOString()} was told and is not in the history`];
  });
}

export function everyCommandComesToItsEndInTime({ project }) {
  return project.slowCommands.splice(0);
}

/** What the daemon said on its stderr: nothing but by accident. */
export function theDaemonNeverCrashesByItself({ project }) {
  const path = project.file('stderr.log');
  const text = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  return text === '' ? [] : [`stderr.log: ${text.slice(0, 500)}`];
}

/** The task folder has only what a start puts there: nothing was kept aside as damaged. */
export function nothingIsFoundDamaged({ project }) {
  const damaged = readdirSync(project.daemonFolder).filter((name) => /damaged|corrupt/.test(name));
  return damaged.map((name) => `${name} was kept aside`);
}

/** A process of another project, with marks of its own, was neither ended nor signalled. */
export function foreignProcessesAreNotTouched({ decoy }) {
  return decoy.isUntouched() ? [] : [decoy.whatHappened()];
}
