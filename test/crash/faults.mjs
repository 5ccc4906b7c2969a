// Injected faults: steps of the track of kills, each with the round around it. Agents and daemons are real, and so are
// the disks that run full, the files that run out, and the processes that stand still.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { comesTrue, openFiles, pause, statOf } from './processes.mjs';
import { Random, seedOf } from './random.mjs';
import { drawRound } from './scenario.mjs';

/** What a daemon with a sick disk may answer. */
const SICK = ['STORAGE_FULL', 'STORAGE_FAILED', 'OVERLOADED', 'INTERNAL_ERROR'];

/** By name: `prepare` before the daemon starts, `step` in the midst of the round, what is not judged, and `needs`. */
export const FAULTS = {
  'a full disk': {
    needs: mountsWork,
    tolerate: SICK,
    without: ['theHistoryKeepsWhatItTold'],
    prepare: (project) => mountSmall(project, project.daemonFolder, '24m'),
    step: (lab, step) => sickDisk(lab, step, lab.project.daemonFolder),
  },
  'a disk that fails to write (EIO)': {
    needs: loopsWork,
    tolerate: SICK,
    without: ['theHistoryKeepsWhatItTold'],
    prepare: mountThin,
    step: (lab, step) => sickDisk(lab, step, join(lab.project.base, 'thin')),
  },
  'no file descriptor left': {
    needs: () => has('prlimit'),
    tolerate: SICK,
    without: ['theHistoryKeepsWhatItTold'],
    step: fewFiles,
  },
  'a daemon that stands still': { step: standStill },
  'a store of garbage': {
    step: garbage,
    // Only what tasks.json held is promised: not the last second, not the attempt that was under way.
    without: [
      'aToldOutcomeNeverChanges',
      'whateverHappensToTheDaemonATaskRunsOnce',
      'exitsAreTheRealOnes',
      'attemptsStayWithinTheirBound',
      'outcomesHaveTheirReason',
      'anAcknowledgedCancelHolds',
      'aTimeLimitHoldsThroughACrash',
      'nothingIsFoundDamaged',
      'everyAcknowledgedSubmitIsThere',
      // An attempt whose task was forgotten is ended, but nobody waits for it.
      'an ended task has no process',
    ],
  },
};

/** A round of ordinary work with one fault in it. */
export function drawFaultRound(seed, round) {
  const script = drawRound(seed, round);
  const random = new Random(seedOf(seed, -1 - round));
  const names = Object.keys(FAULTS);
  const fault = names[round % names.length];
  const step = {
    after: random.whole(300, 900),
    do: fault,
    lasts: random.whole(300, 2000),
    kill: random.chance(0.5),
  };
  return { ...script, fault, kills: [step] };
}

export const FAULT_STEPS = Object.fromEntries(Object.entries(FAULTS).map(([name, { step }]) => [name, step]));

/** Fills the disk to the last byte, kills the daemon in the middle of it or not, and makes room again. */
async function sickDisk(lab, { lasts, kill }, folder) {
  lab.ledger.outages.push({ from: Date.now(), to: Number.POSITIVE_INFINITY });
  const ballast = join(folder, 'ballast');
  const file = openSync(ballast, 'w');
  fill(file);
  await pause(lasts / 2);
  // What others have freed meanwhile is taken as well.
  fill(file);
  await pause(lasts / 2);
  if (kill) await lab.killDaemon();
  closeSync(file);
  truncateSync(ballast);
  rmSync(ballast);
  if (kill) await lab.start();
  lab.ledger.outages.at(-1).to = Date.now() + 1000;
}

function fill(file) {
  for (const size of [1 << 16, 1 << 12, 1]) {
    const block = Buffer.alloc(size, 1);
    try {
      for (;;) if (writeSync(file, block) < size) break;
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error;
    }
  }
}

/** For a while the daemon can open hardly anything more, and clients come in numbers. */
async function fewFiles(lab, { lasts }) {
  const daemon = lab.project.daemon();
  if (daemon === undefined) return;
  const limit = openFiles(daemon.pid) + 2;
  prlimit(daemon.pid, `${limit}:`);
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => lab.project.connect().catch(() => undefined)),
  );
  const pings = Promise.allSettled(clients.map((client) => client?.ping()));
  await pause(lasts);
  prlimit(daemon.pid, '1024:');
  for (const client of clients) client?.close();
  await pings;
  const back = await comesTrue(async () => (await lab.call((client) => client.ping())) !== undefined, 10_000);
  if (!back || statOf(daemon.pid)?.ticks !== daemon.ticks)
    lab.ledger.find(
      'a call is answered, or its connection is lost',
      'the daemon did not come back from EMFILE',
    );
}

function prlimit(pid, limit) {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}`]);
}

/** SIGSTOP, and SIGCONT, or somebody who loses patience and stops it by force. */
async function standStill(lab, { lasts, kill, after }) {
  const daemon = lab.project.daemon();
  if (daemon === undefined) return;
  process.kill(daemon.pid, 'SIGSTOP');
  await pause(lasts);
  if (kill) {
    lab.ledger.killed('(frozen, then stop --force)');
    await lab.stop({ down: after / 10 }, ['stop', '--force']);
  } else {
    lab.ledger.killed('(frozen, then continued)');
    process.kill(daemon.pid, 'SIGCONT');
  }
}

/** The database is overwritten while no daemon runs: kept aside, told, and the queue comes from tasks.json. */
async function garbage(lab) {
  await comesTrue(() => lab.workIsDone, 20_000);
  // tasks.json is written at most once a second.
  await pause(1500);
  const before = await lab.ask((client) => client.task.list({ limit: 1000 }));
  await lab.killDaemon();
  for (const suffix of ['-wal', '-shm']) rmSync(lab.project.file(`tasks.db${suffix}`), { force: true });
  writeFileSync(lab.project.file('tasks.db'), 'garbage '.repeat(2000));
  await lab.start();
  const { health } = await lab.ask((client) => client.daemon.status());
  const kept = readdirSync(lab.project.daemonFolder).filter((name) => /damaged/.test(name));
  const promise = 'a damaged store is kept aside, told, and made anew from tasks.json';
  if (kept.length === 0) lab.ledger.find(promise, 'nothing was kept aside');
  if (!health.issues.some(({ code }) => /database|store/.test(code)))
    lab.ledger.find(promise, `health says ${JSON.stringify(health.issues)}`);
  const after = new Set((await lab.ask((client) => client.task.list({ limit: 1000 }))).map(({ id }) => id));
  for (const { id, state } of before)
    if (!after.has(id)) lab.ledger.find(promise, `${id} (${state}) is gone`);
}

function mountSmall(project, folder, size) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  project.mount(['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder], folder);
}

/** A file system that believes to be larger than the disk below it: when that is full, writes fail with EIO. */
function mountThin(project) {
  const below = join(project.base, 'thin');
  mountSmall(project, below, '24m');
  const image = join(below, 'image');
  writeFileSync(image, '');
  truncateSync(image, 64 << 20);
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-E', 'lazy_itable_init=1', image]);
  mkdirSync(project.daemonFolder, { mode: 0o700 });
  project.mount(['-o', 'loop,errors=continue', image, project.daemonFolder], project.daemonFolder);
}

function has(program) {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)));
}

function mountsWork() {
  if (process.getuid() !== 0) return false;
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
}

function loopsWork() {
  return mountsWork() && has('mkfs.ext4') && spawnSync('losetup', ['--find']).status === 0;
}
