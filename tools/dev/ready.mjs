// Makes a checkout ready to run: installs the locked dependencies and builds, each only when something changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

function run(label, args) {
  process.stderr.write(`${label}\n`);
  const { status } = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    process.stderr.write(`${label.replace(' …', '')} failed: npm ${args.join(' ')}\n`);
    process.exit(1);
  }
}

function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(path).update(readFileSync(join(root, path)));
  return hash.digest('hex');
}

function filesBelow(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(join(root, path)).isFile())
    .toSorted();
}

function unlessDone(stamp, print, work) {
  const file = join(root, stamp);
  if (existsSync(file) && readFileSync(file, 'utf8') === print) return;
  work();
  writeFileSync(file, print);
}

unlessDone('node_modules/.aiwgd-installed', fingerprint(['package-lock.json', '.npmrc']), () =>
  // The native parts come ready-made inside the packages, so no install script has to run.
  run('Installing dependencies …', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']),
);
unlessDone(
  'dist/.built',
  fingerprint(['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', ...filesBelow('src')]),
  () => run('Building …', ['run', '--silent', 'build']),
);
