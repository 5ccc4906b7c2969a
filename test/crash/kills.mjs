// The steps of the track of kills. After each of them a daemon runs again.
import { readJournal } from './journal.mjs';
import { comesTrue, killNow, lives, pause, statOf } from './processes.mjs';

export const KILL_STEPS = {
  daemon: (lab, step) => crash(lab, step, []),
  daemonAndAgent: (lab, step) => crash(lab, step, ['agent']),
  daemonAndRunner: (lab, step) => crash(lab, step, ['runner']),
  everything: (lab, step) => crash(lab, step, ['runner', 'agent']),

  async agent(lab, { at }) {
    hit(lab, at, ['agent']);
  },

  async runner(lab, { at }) {
    hit(lab, at, ['runner']);
  },

  async fiveDaemons(lab, { down }) {
    for (let kill = 0; kill < 5; kill += 1) {
      await lab.killDaemon();
      await lab.start();
      await pause(down / 10);
    }
  },

  /** In the middle of a start, which may then say what it likes; the next one has to work. */
  async daemonWhileStarting(lab, step) {
    await lab.killDaemon();
    await killMeanwhile(lab, step, 'start', () => lab.project.daemon() !== undefined);
  },

  /** Either the old daemon, which hands its agents over, or the new one, which takes them. */
  async daemonWhileRestarting(lab, step) {
    await killMeanwhile(lab, step, 'restart', () => true);
  },

  /** Of several starts at once exactly one wins. */
  async threeStarts(lab) {
    await lab.killDaemon();
    await lab.exclusive(async () => {
      const all = await Promise.all([1, 2, 3].map(() => lab.project.run(['start'])));
      const won = all.filter(({ code }) => code === 0).length;
      const said = all.map(({ code, stderr }) => `${code} ${stderr.trim()}`).join('; ');
      if (won !== 1)
        lab.ledger.find('of several starts one wins', `${won} of 3 starts ended with 0: ${said}`);
      await lab.started();
    });
  },

  async restart(lab) {
    lab.ledger.killed('(restarts)');
    await lab.start('restart');
  },

  stop: (lab, step) => stop(lab, step, ['stop']),
  stopByForce: (lab, step) => stop(lab, step, ['stop', '--force']),
};

async function crash(lab, { at, down }, what) {
  // Chosen before and killed right after: as near to one moment as a program gets.
  const victims = what.length > 0 ? choose(lab, at) : undefined;
  const daemonGone = lab.killDaemon();
  if (victims !== undefined) strike(lab, victims, what);
  await daemonGone;
  await pause(down);
  await lab.start();
}

/** Kills the daemon up to 300 ms into a command that starts one. */
async function killMeanwhile(lab, { at, down }, command, since) {
  await lab.exclusive(async () => {
    const running = lab.project.run([command]);
    let ended = false;
    void running.then(() => (ended = true));
    await comesTrue(() => ended || since(), 10_000);
    await pause(at * 300);
    await lab.killDaemon();
    await running;
    // A restart that lost its old daemon may have started the new one only now.
    await lab.killDaemon();
  });
  await pause(down);
  await lab.start();
}

function hit(lab, at, what) {
  const victims = choose(lab, at);
  if (victims !== undefined) strike(lab, victims, what);
}

/** One of the agents that live just now, with its runner: the shell between it and the daemon. */
function choose(lab, at) {
  const running = readJournal(lab.project.journalFile).filter((run) => run.end === null && lives(run));
  const run = running[Math.floor(at * running.length)];
  if (run === undefined) return undefined;
  const parent = statOf(statOf(run.pid)?.parent ?? 0);
  const isRunner = parent?.name === 'sh' && parent.pid !== lab.project.daemon()?.pid;
  return { run, agent: run, runner: isRunner ? parent : undefined };
}

function strike(lab, victims, what) {
  const { taskId, attemptId } = victims.run;
  // Noted first: whatever comes of it may be seen at once.
  lab.ledger.hits.push({ what: what.join('+'), taskId, attemptId });
  for (const name of what) {
    if (victims[name] !== undefined && killNow(victims[name])) lab.ledger.killed(name);
  }
}

export async function stop(lab, { down }, args) {
  const record = { from: Date.now(), to: Number.POSITIVE_INFINITY };
  lab.ledger.stops.push(record);
  const { code, stderr } = await lab.project.run(args);
  record.to = Date.now();
  // By force it may have been killed.
  if (args.includes('--force')) lab.ledger.deaths.push(record.to);
  lab.ledger.killed('(stops)');
  if (code !== 0)
    lab.ledger.find('stop ends the daemon', `aiwgd ${args.join(' ')} ended with ${code}: ${stderr}`);
  lookForLeftovers(lab, `aiwgd ${args.join(' ')}`);
  await pause(down);
  await lab.start();
}

export function lookForLeftovers(lab, after) {
  const left = lab.project.marked().filter(lives);
  if (left.length === 0) return;
  const names = left.map(({ pid, name, taskId }) => `${name} (${pid}) of ${taskId}`).join(', ');
  lab.ledger.find('nothing is left after a stop', `after ${after} there lives ${names}`);
}
