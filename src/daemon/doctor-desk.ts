import type { Config } from '../protocol/config/config-schema.js';
import type { DoctorReport } from '../protocol/doctor-report.js';
import { AiwgdError } from '../protocol/errors.js';
import type { Ground } from './subsystems.js';

/** Answers `daemon.doctor`: who asks while it looks gets the same answer, and the daemon's end is the end of it. */
export class DoctorDesk {
  readonly #ground: Ground;
  readonly #configFile: string;
  readonly #config: () => Config;
  readonly #over = new AbortController();
  #looking: Promise<DoctorReport> | undefined;

  constructor(ground: Ground, { configFile, config }: { configFile: string; config: () => Config }) {
    this.#ground = ground;
    this.#configFile = configFile;
    this.#config = config;
  }

  /** Throws DAEMON_STOPPING. */
  look(): Promise<DoctorReport> {
    if (this.#over.signal.aborted)
      throw new AiwgdError('DAEMON_STOPPING', 'The daemon is stopping; ask again when it is back.');
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<DoctorReport> {
    const { paths, clock } = this.#ground;
    const { runDoctor } = await import('./doctor/doctor.js');
    return runDoctor({
      paths,
      configFile: this.#configFile,
      config: this.#config(),
      environment: process.env,
      clock,
      signal: this.#over.signal,
    });
  }

  /** Resolves when nothing is left of what it has started. */
  async close(): Promise<void> {
    this.#over.abort();
    await this.#looking?.catch(() => undefined);
  }
}
