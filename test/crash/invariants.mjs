// All promises, and the judging by them.
import * as attempts from './promises-of-attempts.mjs';
import * as files from './promises-of-files.mjs';
import * as tasks from './promises-of-tasks.mjs';

const PROMISES = { ...tasks, ...attempts, ...files };

/** Those that are judged while a round goes, by whoever looks on. */
const WATCHED = [
  'the daemon starts every time',
  'of several starts one wins',
  'a project has one daemon',
  'stop ends the daemon',
  'nothing is left after a stop',
  'an ended task has no process',
  'never more attempts than slots',
  'never two attempts of a task at once',
  'files are readable at every moment',
  'every task comes to an outcome',
  'a call is answered, or its connection is lost',
  'a command says how it ended',
  'a bad configuration is refused',
  'output can be followed through a crash',
  'events are told until the connection is lost',
];

export const PROMISE_COUNT = Object.keys(PROMISES).length + WATCHED.length;

/** What contradicts the promises: `{promise, detail}`. A fault may take some of them away. */
export function judge(evidence, without = []) {
  const held = Object.entries(PROMISES).filter(([name]) => !without.includes(name));
  const judged = held.flatMap(([name, contradictions]) =>
    contradictions(evidence).map((detail) => ({ promise: inWords(name), detail })),
  );
  const seen = evidence.ledger.findings.filter(({ promise }) => !without.includes(promise));
  return [...seen, ...judged];
}

function inWords(name) {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
