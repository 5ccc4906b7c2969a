// All checks, one after the other, each in a time of its own; a failed one does not keep the others from running.
// Ends with the line "N passed, M failed": every test counts, and every other check counts as one.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MINUTE = 60_000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const reports = mkdtempSync(join(tmpdir(), 'aiwgd-ci-'));

/** Programs that tests use, with the Debian package that has each. */
const PROGRAMS = {
  tmux: 'tmux',
  ps: 'procps',
  git: 'git',
  mount: 'mount',
  prlimit: 'util-linux',
  chattr: 'e2fsprogs',
  'mkfs.ext4': 'e2fsprogs',
  vim: 'vim',
};

const total = { passed: 0, failed: 0, skipped: 0 };
const summary = [];

function count(label, { passed, failed, skipped = 0 }, note = '') {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  const skips = skipped > 0 ? `, ${skipped} skipped` : '';
  summary.push(
    `${failed > 0 ? 'FAILED' : 'ok    '}  ${label}: ${passed} passed, ${failed} failed${skips}${note}`,
  );
}

function endGroup({ pid }) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It ended by itself just now.
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Runs a command with everything that it starts in one process group, which is ended when the time is up. */
function run(argv, limit, env = {}) {
  process.stdout.write(`\n=== ${argv.join(' ')}\n`);
  return new Promise((resolve) => {
    const child = spawn(argv[0], argv.slice(1), {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
      detached: true,
    });
    let note = '';
    const timer = setTimeout(() => {
      note = ` (ended after ${limit / MINUTE} minutes)`;
      endGroup(child);
    }, limit);
    const stop = (signal) => {
      endGroup(child);
      process.exit(128 + constants.signals[signal]);
    };
    const finish = (code, reason) => {
      clearTimeout(timer);
      process.off('SIGINT', stop).off('SIGTERM', stop);
      resolve({ ok: code === 0, note: note || reason });
    };
    process.once('SIGINT', stop).once('SIGTERM', stop);
    child.on('error', (error) => finish(1, ` (${error.message})`));
    child.on('exit', (code, signal) => finish(code, signal ? ` (${signal})` : ''));
  });
}

async function check(label, argv, limit) {
  const { ok, note } = await run(argv, limit);
  count(label, { passed: ok ? 1 : 0, failed: ok ? 0 : 1 }, note);
}

/** A run of vitest, counted test by test. A failure that no test carries (a file that does not load) counts too. */
async function tests(label, argv, limit) {
  const report = join(reports, `${label.replace(/\W/g, '-')}.json`);
  const { ok, note } = await run(argv, limit, { AIWGD_TEST_REPORT: report });
  const counts = countsOf(report);
  if (!ok && counts.failed === 0) counts.failed = 1;
  count(label, counts, note);
}

function countsOf(report) {
  let result;
  try {
    result = JSON.parse(readFileSync(report, 'utf8'));
  } catch (error) {
    process.stdout.write(`There is no report of the tests: ${error.message}\n`);
    return { passed: 0, failed: 1 };
  }
  const broken = result.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  );
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + broken.length,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

function isMissing(program) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return !folders.some((folder) => spawnSync('test', ['-x', join(folder, program)]).status === 0);
}

async function systemPackages() {
  const missing = Object.keys(PROGRAMS).filter(isMissing);
  if (missing.length === 0) return;
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const packages = missing.map((program) => PROGRAMS[program]);
  await run(['apt-get', 'update'], 2 * MINUTE, env);
  await run(['apt-get', 'install', '-y', '--no-install-recommends', ...packages], 3 * MINUTE, env);
  const still = missing.filter(isMissing);
  if (still.length > 0) {
    count('system packages', { passed: 0, failed: 1 }, ` (could not install ${still.join(', ')})`);
  }
}

await systemPackages();
await tests('npm test', ['npm', 'test'], 10 * MINUTE);
await check('lint', ['npm', 'run', 'lint'], 2 * MINUTE);
await check('types', ['npm', 'run', 'types'], 2 * MINUTE);
await check('docs', ['npm', 'run', 'docs:check'], MINUTE);
// Both install the agent programs where they are not there yet, and fail where they cannot.
const others = 'test/agents-real/{codex,gemini,opencode}.test.ts';
await tests('test:agents', ['npm', 'run', 'test:agents', '--', '--exclude', others], 6 * MINUTE);
await tests('agents', ['npm', 'run', 'test:agents', '--', 'codex', 'gemini', 'opencode'], 6 * MINUTE);
await check('crash', ['npm', 'run', 'crash', '--', '--rounds', '50', '--seconds', '25'], 3 * MINUTE);
await check('bench', ['npm', 'run', 'bench', '--', '--short'], 3 * MINUTE);

rmSync(reports, { recursive: true, force: true });
process.stdout.write(`\n${summary.join('\n')}\n${total.skipped} skipped\n`);
process.exitCode = total.failed > 0 ? 1 : 0;
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
