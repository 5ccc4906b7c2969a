// Tests against the real agent programs: installs them, in their exact versions, where they are not there yet, and runs
// test/agents-real. The programs talk only to fakes on loopback, in an environment that is built from nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = process.env.AIWGD_AGENTS_CACHE || join(root, '.cache', 'agents');
const modules = join(cache, 'node_modules');

/** Each with the variable by which the tests find it, and the places where its program may be. */
const AGENTS = [
  {
    name: '@anthropic-ai/claude-code',
    version: '2.1.330',
    variable: 'AIWGD_CLAUDE_PROGRAM',
    // The native program, in a package of its own: the install script only links it into the main one.
    programs: () => packagesOf('@anthropic-ai', 'claude-code-').map((folder) => join(folder, 'claude')),
  },
  {
    name: '@openai/codex',
    version: '0.169.0',
    variable: 'AIWGD_CODEX_PROGRAM',
    programs: () => [join(modules, '.bin', 'codex')],
  },
  {
    name: '@google/gemini-cli',
    version: '0.61.0',
    variable: 'AIWGD_GEMINI_PROGRAM',
    programs: () => [join(modules, '.bin', 'gemini')],
  },
  {
    name: 'opencode-ai',
    version: '1.18.33',
    variable: 'AIWGD_OPENCODE_PROGRAM',
    // As for claude; of several (for older processors, for musl) the first one that runs here.
    programs: () =>
      packagesOf('.', `opencode-${process.platform}-`).map((folder) => join(folder, 'bin', 'opencode')),
  },
];

function packagesOf(scope, prefix) {
  const folder = join(modules, scope);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix));
  return names.toSorted().map((name) => join(folder, name));
}

function isInstalled({ name, version }) {
  try {
    return JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')).version === version;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

/** With nothing of our environment but what it takes to start: it is only asked for its version. */
function runs(program) {
  if (!existsSync(program)) return false;
  const env = { PATH: process.env.PATH ?? '', HOME: cache, TMPDIR: cache };
  return spawnSync(program, ['--version'], { env, stdio: 'ignore', timeout: 30_000 }).status === 0;
}

/** All at once: npm takes away what stands in no package.json. */
function install() {
  const packages = AGENTS.map(({ name, version }) => `${name}@${version}`);
  process.stderr.write(`Installing ${packages.join(', ')} into ${cache} …\n`);
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, 'package.json'), '{ "private": true }\n');
  // Some ask for Node 22, but what runs is a native program that comes ready-made: neither that Node nor any install
  // script is needed.
  const flags = ['--engine-strict=false', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', ['install', ...flags, '--save-exact', ...packages], {
    cwd: cache,
    stdio: ['ignore', 2, 2],
    timeout: 600_000,
  });
  return error?.message ?? (status === 0 ? undefined : `npm ended with ${status}`);
}

function fail(reason) {
  process.stderr.write(`The tests with real agents were not run: ${reason}\n`);
  process.exit(1);
}

if (!AGENTS.every(isInstalled)) {
  const problem = install();
  if (problem !== undefined) fail(`the agent programs could not be installed (${problem}).`);
}

const programs = {};
for (const { name, version, variable, programs: places } of AGENTS) {
  const program = places().find(runs);
  if (program === undefined) {
    fail(`${name}@${version} has no program that runs on ${process.platform} ${process.arch}.`);
  }
  programs[variable] = program;
}

const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--config', 'vitest.agents.config.ts', ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...programs } },
);
process.exit(status ?? 1);
