import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findRunningDaemon } from '../../ipc/running-daemon.js';
import type { Clock } from '../../platform/clock.js';
import { type ProjectPaths, projectPaths } from '../../protocol/project-paths.js';
import { endLeftAgents } from '../lifecycle/end-left-agents.js';
import { mayHaveLeftAgents } from '../lifecycle/left-agents.js';
import { stopDaemon } from '../lifecycle/stop-daemon.js';

function configuration(): object {
  const agent = fileURLToPath(new URL('./demo-agent.js', import.meta.url));
  return {
    // One at a time, so that the order can be seen.
    daemon: { max_parallel_actions: 1, stop_grace_seconds: 2, kill_grace_seconds: 1 },
    watch: { enabled: false, paths: [] },
    schedule: { enabled: false, jobs: [] },
    default_agent: 'demo',
    agents: {
      demo: { provider: 'command', command: [process.execPath, agent], prompt: 'stdin', output: 'text' },
    },
  };
}

/** A scratch project in the folder for temporary files, with the demo agent as its default agent. */
export class DemoProject {
  readonly paths: ProjectPaths;
  readonly notes: string;
  readonly #clock: Clock;
  readonly #keep: boolean;
  #cleaning: Promise<void> | undefined;

  constructor(clock: Clock, keep: boolean) {
    this.#clock = clock;
    this.#keep = keep;
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'aiwgd-demo-')));
    this.paths = projectPaths(root);
    this.notes = join(root, 'NOTES.md');
    mkdirSync(this.paths.aiwg);
    writeFileSync(this.paths.config, `${JSON.stringify(configuration(), null, 2)}\n`);
    writeFileSync(this.notes, '# Notes of the demo agent\n');
  }

  /** Lines that the agent has left. */
  noteLines(): string[] {
    return readFileSync(this.notes, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('- '));
  }

  /** Ends what runs for the project and removes it (unless it is to be kept). May be called twice. */
  close(): Promise<void> {
    this.#cleaning ??= this.#clean();
    return this.#cleaning;
  }

  async #clean(): Promise<void> {
    const daemon = findRunningDaemon(this.paths);
    if (daemon !== undefined) await stopDaemon(daemon, this.#clock, { force: true });
    // The crash of the story leaves an agent at work.
    else if (mayHaveLeftAgents(this.paths)) await endLeftAgents(this.paths, this.#clock, { graceMs: 0 });
    if (!this.#keep)
      rmSync(this.paths.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
