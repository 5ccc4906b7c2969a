import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { Worktree } from '#aiwgd/protocol/worktrees.js';
import { Worktrees } from '#aiwgd/worktrees/worktrees.js';
import { tempFolder } from '../support/temp.js';

export const PLAIN = { submodules: true, untracked: 'none', copy: [] as string[] } as const;

/** A repository with one commit, and the worktrees of a project in it; nothing of this machine's git settings. */
export class Repository {
  readonly base: string;
  readonly top: string;
  /** The project: the top, or a folder in it. */
  readonly project: string;
  readonly env: Record<string, string>;
  readonly inUse = new Map<string, string>();
  readonly worktrees: Worktrees;
  /** Done when it is asked what is in use, from the given time on: the last moment before something is removed. */
  beforeRemoval: { asked: number; act: () => void } = { asked: 0, act: () => undefined };

  constructor(options: { name?: string; folder?: string; files?: Record<string, string> } = {}) {
    const { name = 'shop', folder = '', files = { 'a.txt': 'one\n' } } = options;
    this.base = tempFolder();
    this.top = join(this.base, name);
    this.project = join(this.top, folder);
    const home = join(this.base, 'home');
    mkdirSync(home);
    this.env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: home, GIT_CONFIG_NOSYSTEM: '1' };
    mkdirSync(join(this.project, '.aiwg'), { recursive: true });
    writeFileSync(
      join(home, '.gitconfig'),
      '[user]\n\tname = Ann\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n',
    );
    this.git('init', '--quiet');
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    this.git('add', '.');
    this.git('commit', '--quiet', '-m', 'first');
    this.worktrees = this.open();
  }

  /** As a further daemon of the project would have them; of the project at another place, where it was moved. */
  open(projectRoot = this.project): Worktrees {
    const worktrees = new Worktrees({
      projectRoot,
      clock: systemClock,
      environment: this.env,
      inUse: () => {
        this.beforeRemoval.asked -= 1;
        if (this.beforeRemoval.asked === 0) this.beforeRemoval.act();
        return Promise.resolve(this.inUse);
      },
    });
    onTestFinished(() => worktrees.close());
    return worktrees;
  }

  git(...args: string[]): string {
    return this.gitIn(this.top, ...args);
  }

  gitIn(cwd: string, ...args: string[]): string {
    return execFileSync('git', args, { cwd, env: this.env, encoding: 'utf8', stdio: 'pipe' }).trim();
  }

  write(path: string, text: string): void {
    const file = join(this.top, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  read(path: string): string {
    return readFileSync(join(this.top, path), 'utf8');
  }

  has(path: string): boolean {
    return existsSync(join(this.top, path));
  }

  /** Makes the worktree of `task-0001` or another; answers its folder. */
  async prepare(
    owner = 'task-0001',
    options: Partial<Parameters<Worktrees['prepare']>[0]['options']> = {},
  ): Promise<string> {
    return (await this.worktrees.prepare({ owner, cwd: null, options: { ...PLAIN, ...options } })).folder;
  }

  /** A worktree in which one file was committed. */
  async withCommit(owner = 'task-0001', file = 'new.txt'): Promise<string> {
    const folder = await this.prepare(owner);
    writeFileSync(join(folder, file), 'new\n');
    this.gitIn(folder, 'add', '.');
    this.gitIn(folder, 'commit', '--quiet', '-m', `work of ${owner}`);
    return folder;
  }

  async seen(owner = 'task-0001'): Promise<Worktree> {
    const found = (await this.worktrees.list()).find(({ taskId }) => taskId === owner);
    if (found === undefined) throw new Error(`${owner} is not listed`);
    return found;
  }

  /** Why a prune keeps it; null where it was removed. */
  async keptBecause(owner = 'task-0001'): Promise<string | null> {
    const { removed, kept } = await this.worktrees.prune({ taskIds: [owner] });
    return removed.includes(owner) ? null : (kept[0]?.why ?? 'nothing was said');
  }

  branches(): string[] {
    return this.git('for-each-ref', '--format=%(refname:short)', 'refs/heads').split('\n');
  }
}
