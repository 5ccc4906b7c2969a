// Measures what TARGETS promise, each figure beside its limit in the same run: `npm run bench -- --help`.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { removeAllProjects } from './project.mjs';
import { commands } from './rows/commands.mjs';
import { crashes } from './rows/crashes.mjs';
import { largeStore } from './rows/large-store.mjs';
import { leftovers } from './rows/leftovers.mjs';
import { idleCpu, idleMemory, printingMemory, slowSubscriber } from './rows/memory.mjs';
import { ping } from './rows/ping.mjs';
import { reaction } from './rows/reaction.mjs';
import { rules } from './rows/rules.mjs';
import { submits } from './rows/submits.mjs';
import { throughput } from './rows/throughput.mjs';
import { watcher } from './rows/watcher.mjs';
import { printHead, printRow } from './table.mjs';

const USAGE = `usage: npm run bench -- [--short] [--only NAME]... [--json FILE] [--seed N]
  --short   small sizes, under a minute: only to see that it works
  --only    NAME is one of the groups below; may be given more than once
  --json    also write the rows to FILE
  --seed    of the moments of kill -9 (printed with its row)
`;

const FULL = {
  turns: 15,
  roundTrips: 10_000,
  pipelined: 50_000,
  submits: 300,
  claims: 100,
  lists: 100,
  tasks: 200,
  reactions: 300,
  stored: 1_000_000,
  watchedFiles: 100_000,
  settleSeconds: 10,
  memoryTurns: 3,
  ruleEvents: 50_000,
  printMb: 1024,
  cpuWindowSeconds: 60,
  rounds: 200,
};

const SHORT = {
  turns: 1,
  roundTrips: 500,
  pipelined: 2_000,
  submits: 50,
  claims: 20,
  lists: 20,
  tasks: 20,
  reactions: 20,
  stored: 20_000,
  watchedFiles: 2_000,
  settleSeconds: 1,
  memoryTurns: 1,
  ruleEvents: 10_000,
  printMb: 20,
  cpuWindowSeconds: 5,
  rounds: 5,
};

const GROUPS = {
  commands,
  ping,
  submits,
  throughput,
  reaction,
  watcher,
  rules,
  'large-store': largeStore,
  'idle-memory': idleMemory,
  'printing-memory': printingMemory,
  'slow-subscriber': slowSubscriber,
  'idle-cpu': idleCpu,
  crashes,
  leftovers,
};

function options() {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = values.only?.find((name) => !(name in GROUPS));
  if (unknown !== undefined)
    throw new Error(`no group ${unknown}; there are ${Object.keys(GROUPS).join(', ')}`);
  return values;
}

async function main() {
  const { short, only, json, seed, help } = options();
  if (help) {
    process.stdout.write(`${USAGE}groups: ${Object.keys(GROUPS).join(', ')}\n`);
    return;
  }
  const sizes = {
    ...(short ? SHORT : FULL),
    seed: seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(seed),
  };
  const machine = `${cpus().length} cores, Node ${process.versions.node}, ${process.platform} ${process.arch}`;
  printHead(machine, short);
  const rows = [];
  for (const name of only ?? Object.keys(GROUPS)) {
    for (const row of await GROUPS[name](sizes)) {
      rows.push({ group: name, ...row });
      printRow(row);
    }
  }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine, short, rows }, null, 2)}\n`);
}

for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.on(signal, () => process.exit(code));
}
process.on('exit', removeAllProjects);
await main();
// What a failed row left open must not keep a finished bench alive.
process.exit();
