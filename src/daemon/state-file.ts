import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '../platform/atomic-file.js';
import type { Clock, Timer } from '../platform/clock.js';
import { writeFaultText } from '../platform/write-fault.js';
import type { ProjectPaths } from '../protocol/project-paths.js';

export interface StateFileOptions {
  paths: ProjectPaths;
  clock: Clock;
  heartbeatSeconds: number;
  uptimeSeconds: () => number;
  /** Makes the content of `state.json`. */
  snapshot: () => Promise<Record<string, unknown>>;
  /** Before each heartbeat: the daemon's look at itself. */
  onHeartbeat: () => void;
  /** The reason why a file can't be written, undefined when it can again. */
  onFault: (error: unknown) => void;
}

/** Keeps `heartbeat` and `state.json` current: at each heartbeat, and whenever `write` is called. */
export class StateFile {
  readonly #options: StateFileOptions;
  #heartbeatMs: number;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #again = false;
  #heartbeatFault: Error | undefined;
  #closed = false;

  constructor(options: StateFileOptions) {
    this.#options = options;
    this.#heartbeatMs = options.heartbeatSeconds * 1000;
  }

  /** First heartbeat at once, then one every interval. */
  async start(): Promise<void> {
    await this.#beat();
  }

  setInterval(seconds: number): void {
    this.#heartbeatMs = seconds * 1000;
    this.#timer?.cancel();
    this.#arm();
  }

  /** Writes the state now; calls during a write share the one that follows it. A failure is reported, and tried again at the next heartbeat. */
  write(): Promise<void> {
    if (this.#writing !== undefined) {
      this.#again = true;
      return this.#writing;
    }
    this.#writing = this.#writeUntilCurrent().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Ends the heartbeat and writes the last state. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.write();
  }

  async #writeUntilCurrent(): Promise<void> {
    do {
      this.#again = false;
      await this.#writeOnce();
    } while (this.#again);
  }

  async #beat(): Promise<void> {
    this.#options.onHeartbeat();
    this.#heartbeatFault = this.#writeHeartbeat();
    await this.write();
    if (!this.#closed) this.#arm();
  }

  #writeHeartbeat(): Error | undefined {
    const { paths, clock, uptimeSeconds } = this.#options;
    const timestamp = new Date(clock.now()).toISOString();
    const heartbeat = { pid: process.pid, timestamp, uptime_seconds: uptimeSeconds() };
    try {
      writeFileAtomic(paths.heartbeat, `${JSON.stringify(heartbeat)}\n`);
      return undefined;
    } catch (error) {
      return new Error(writeFaultText(paths.heartbeat, error), { cause: error });
    }
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimer(this.#heartbeatMs, () => void this.#beat());
  }

  async #writeOnce(): Promise<void> {
    const { paths, snapshot, onFault } = this.#options;
    try {
      const state = await snapshot();
      writeFileAtomic(paths.state, `${JSON.stringify(state, null, 2)}\n`);
      // What keeps both from being written is told once, and is over for both.
      if (this.#heartbeatFault !== undefined) this.#heartbeatFault = this.#writeHeartbeat();
      onFault(this.#heartbeatFault);
    } catch (error) {
      onFault(new Error(writeFaultText(paths.state, error), { cause: error }));
    }
  }
}

/** How many daemons this project has had before: `restart_count` of the last one and one more; 0 for the first. */
export function nextRestartCount(paths: ProjectPaths): number {
  try {
    const { restart_count: count } = JSON.parse(readFileSync(paths.state, 'utf8')) as {
      restart_count?: unknown;
    };
    return Number.isSafeInteger(count) ? (count as number) + 1 : 1;
  } catch (error) {
    // No state yet, or a damaged one: the count is a courtesy and starts anew.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 0 : 1;
  }
}
