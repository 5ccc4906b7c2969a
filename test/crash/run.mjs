// The crash laboratory: kills daemons, runners and agents in the midst of work, and looks whether all promises hold.
// `npm run crash -- --help`
import { parseArgs } from 'node:util';
import { Decoy, endDecoys } from './decoy.mjs';
import { drawFaultRound, FAULTS } from './faults.mjs';
import { judge } from './invariants.mjs';
import { LabProject, removeAll } from './lab-project.mjs';
import { printBroken, printRound, Totals } from './report.mjs';
import { RoundLab } from './round.mjs';
import { drawRound } from './scenario.mjs';

const USAGE = `usage: npm run crash -- [--rounds N] [--seed N] [--from N] [--seconds N] [--faults]
  --rounds   how many rounds (default 20); each takes some seconds
  --seed     repeats the rounds of an earlier run (printed by each)
  --from     the first round (default 0)
  --seconds  begins no further round after so much time
  --faults   rounds with faults: full and failing disks, no open files left, stopped daemons, damaged databases
`;
/** After so many rounds a new project is begun, with an empty history. */
const ROUNDS_PER_PROJECT = 50;
/** Whoever has seen as much broken as this has enough to look at. */
const MOST_BROKEN_ROUNDS = 5;

const NUMBERS = ['rounds', 'seed', 'from', 'seconds'];

/** What was asked for; undefined for what is no run: one of no rounds would look as if nothing had broken. */
function options() {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: 'string', default: '20' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
        from: { type: 'string', default: '0' },
        seconds: { type: 'string', default: 'Infinity' },
        faults: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const numbers = Object.fromEntries(NUMBERS.map((name) => [name, Number(values[name])]));
    const { rounds: count, seconds, ...others } = numbers;
    const whole = [count, ...Object.values(others)].every(
      (number) => Number.isInteger(number) && number >= 0,
    );
    return whole && count > 0 && seconds > 0 ? { ...values, ...numbers } : undefined;
  } catch {
    return undefined;
  }
}

/** A project with its decoy, for as many rounds as nothing is broken in. */
class Bench {
  constructor() {
    this.project = new LabProject();
    this.decoy = new Decoy(this.project);
    this.lab = new RoundLab(this.project);
    this.rounds = 0;
  }

  /** Plays a round and answers what it broke. */
  async play(script, totals, without) {
    const begun = performance.now();
    const evidence = await this.lab.play(script);
    totals.rounds += 1;
    totals.tasks += evidence.tasks.length;
    this.rounds += 1;
    printRound(script, evidence.tasks.length, performance.now() - begun);
    return this.judge(evidence, without);
  }

  judge(evidence, without) {
    evidence.decoy = this.decoy;
    return judge(evidence, without);
  }

  async close({ keep, totals }) {
    totals.addProject(this.lab.summary());
    this.decoy.end();
    if (keep) return this.project.keep();
    return this.project.remove();
  }
}

async function rounds({ seed, from, rounds: count, seconds }, totals) {
  const until = performance.now() + seconds * 1000;
  let bench = new Bench();
  for (let round = from; round < from + count && performance.now() < until; round += 1) {
    const script = drawRound(seed, round);
    const findings = await bench.play(script, totals);
    if (findings.length > 0) {
      totals.brokenRounds += 1;
      totals.broken.push(...findings);
      printBroken({ seed, script, findings, folder: await bench.close({ keep: true, totals }) });
      if (totals.brokenRounds >= MOST_BROKEN_ROUNDS) return;
      bench = new Bench();
    } else if (bench.rounds === ROUNDS_PER_PROJECT) {
      await lastLook(bench, totals, seed, script);
      bench = new Bench();
    }
  }
  await lastLook(bench, totals, seed, { round: 'all', work: [], kills: [] });
}

/** Once more at all tasks of a project: what was told in any of its rounds has to hold. */
async function lastLook(bench, totals, seed, script) {
  const findings = bench.judge(await bench.lab.everything());
  totals.broken.push(...findings);
  const folder = await bench.close({ keep: findings.length > 0, totals });
  if (findings.length > 0) printBroken({ seed, script, findings, folder });
}

/** Rounds with a fault each, every one in a project of its own. */
async function faultRounds({ seed, from, rounds: count }, totals) {
  for (let round = from; round < from + count && totals.brokenRounds < MOST_BROKEN_ROUNDS; round += 1) {
    const script = drawFaultRound(seed, round);
    const { needs, tolerate = [], prepare, without } = FAULTS[script.fault];
    if (needs !== undefined && !needs()) {
      process.stdout.write(`round ${round}: skipped, this machine does not allow ${script.fault}\n`);
      continue;
    }
    const bench = new Bench();
    prepare?.(bench.project);
    bench.lab.tolerated = tolerate;
    const findings = await bench.play(script, totals, without);
    const folder = await bench.close({ keep: findings.length > 0, totals });
    if (findings.length === 0) continue;
    totals.brokenRounds += 1;
    totals.broken.push(...findings);
    printBroken({ seed, script, findings, folder });
  }
}

async function main() {
  const asked = options();
  if (asked === undefined) {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  if (asked.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (process.platform !== 'linux') {
    process.stdout.write('The laboratory reads /proc: it runs on Linux only.\n');
    return;
  }
  process.stdout.write(`seed ${asked.seed}\n`);
  const totals = new Totals();
  if (asked.faults) await faultRounds(asked, totals);
  else await rounds(asked, totals);
  totals.print(asked.seed);
  process.exitCode = totals.broken.length > 0 ? 1 : 0;
}

for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.on(signal, () => process.exit(code));
}
process.on('exit', removeAll);
process.on('exit', endDecoys);
await main();
// What a broken round left open must not keep a finished run alive.
process.exit();
