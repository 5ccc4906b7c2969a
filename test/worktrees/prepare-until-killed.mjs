import { systemClock } from '#aiwgd/platform/clock.js';
import { Worktrees } from '#aiwgd/worktrees/worktrees.js';

const [projectRoot] = process.argv.slice(2);
const worktrees = new Worktrees({
  projectRoot,
  clock: systemClock,
  environment: process.env,
  inUse: () => Promise.resolve(new Map()),
});
await worktrees.prepare({
  owner: 'task-0001',
  cwd: null,
  options: { submodules: true, untracked: 'copy', copy: [] },
});
process.stdout.write('prepared\n');
