// Tests against the real agent program: installs it, in its exact version, where it is not there yet, and runs
// test/agents-real. The program talks only to a fake on loopback, in an environment that is built from nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = '@anthropic-ai/claude-code';
const VERSION = '2.1.330';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = process.env.AIWGD_AGENTS_CACHE || join(root, '.cache', 'agents');
const scope = join(cache, 'node_modules', '@anthropic-ai');

/** The native program of the installed version; npm installs the one package that fits this machine. */
function installedProgram() {
  try {
    const { version } = JSON.parse(readFileSync(join(scope, 'claude-code', 'package.json'), 'utf8'));
    if (version !== VERSION) return undefined;
    return readdirSync(scope)
      .filter((name) => name.startsWith('claude-code-'))
      .map((name) => join(scope, name, 'claude'))
      .find((program) => existsSync(program));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function install() {
  process.stderr.write(`Installing ${PACKAGE}@${VERSION} into ${cache} …\n`);
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, 'package.json'), '{ "private": true }\n');
  // It asks for Node 22, but what runs is a native program that comes ready-made in a package of its own: neither that
  // Node nor the install script (which links the program into the main package) is needed.
  const flags = ['--engine-strict=false', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', ['install', ...flags, '--save-exact', `${PACKAGE}@${VERSION}`], {
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

let program = installedProgram();
if (program === undefined) {
  const problem = install();
  if (problem !== undefined) fail(`${PACKAGE}@${VERSION} could not be installed (${problem}).`);
  program = installedProgram();
  if (program === undefined) {
    fail(`${PACKAGE}@${VERSION} has no program for ${process.platform} ${process.arch}.`);
  }
}

const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--config', 'vitest.agents.config.ts', ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit', env: { ...process.env, AIWGD_CLAUDE_PROGRAM: program } },
);
process.exit(status ?? 1);
