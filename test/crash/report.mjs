// What a run says: a line a round, a broken round with all that repeats it, and a table at the end.
import { PROMISE_COUNT } from './invariants.mjs';

export function printRound(script, tasks, ms) {
  const kills = script.kills.map((step) => step.do).join(', ');
  process.stdout.write(`round ${script.round}: ${tasks} tasks, ${kills}, ${(ms / 1000).toFixed(1)} s\n`);
}

export function printBroken({ seed, script, findings, folder }) {
  const lines = findings.map(({ promise, detail }) => `  ${promise}: ${detail}`);
  process.stdout.write(
    [
      `\nBROKEN in round ${script.round} of seed ${seed}; the project is kept in ${folder}`,
      ...lines.slice(0, 40),
      ...(lines.length > 40 ? [`  … and ${lines.length - 40} more`] : []),
      `  again: npm run crash -- --seed ${seed} --from ${script.round} --rounds 1`,
      `  work:  ${script.work.map((step) => JSON.stringify(step)).join('\n         ')}`,
      `  kills: ${script.kills.map((step) => JSON.stringify(step)).join('\n         ')}`,
      '',
      '',
    ].join('\n'),
  );
}

/** Sums over all projects of a run. */
export class Totals {
  rounds = 0;
  submits = 0;
  tasks = 0;
  attempts = 0;
  adopted = 0;
  starts = 0;
  slowestStart = 0;
  looks = 0;
  readings = 0;
  events = 0;
  kills = {};
  broken = [];
  brokenRounds = 0;

  addProject({ ledger, attempts, adopted }) {
    this.submits += ledger.submits.size;
    this.attempts += attempts;
    this.adopted += adopted;
    for (const name of ['starts', 'looks', 'readings', 'events']) this[name] += ledger.counts[name];
    this.slowestStart = Math.max(this.slowestStart, ledger.counts.slowestStart);
    for (const [what, count] of Object.entries(ledger.counts.kills))
      this.kills[what] = (this.kills[what] ?? 0) + count;
  }

  print(seed) {
    const kills = Object.entries(this.kills).map(([what, count]) => `${count} ${what}`);
    const rows = {
      seed,
      rounds: this.rounds,
      kills: kills.join(', '),
      starts: `${this.starts}, the slowest took ${Math.round(this.slowestStart)} ms`,
      submits: this.submits,
      tasks: this.tasks,
      attempts: this.attempts,
      'attempts that outlived a daemon': this.adopted,
      'looks at the processes': this.looks,
      'readings of files': this.readings,
      'events heard': this.events,
      'promises judged': PROMISE_COUNT,
      'promises broken': this.broken.length,
    };
    process.stdout.write('\n');
    for (const [name, value] of Object.entries(rows)) process.stdout.write(`${name.padEnd(34)}${value}\n`);
    for (const promise of new Set(this.broken.map((one) => one.promise))) {
      const count = this.broken.filter((one) => one.promise === promise).length;
      process.stdout.write(`  broken ${count} times: ${promise}\n`);
    }
  }
}
