import type { Log } from '../platform/log.js';
import { changedSections } from '../protocol/config/changed-sections.js';
import type { Config } from '../protocol/config/config-schema.js';
import { messageOf } from '../protocol/errors.js';
import { type LoadedConfig, loadConfig } from './config-source.js';
import type { HealthRegister } from './health.js';

export interface ReloaderOptions {
  /** Where the configuration was read from, and is read again. */
  configFile: string;
  initial: Config;
  log: Log;
  health: HealthRegister;
  /** Puts a configuration into force; told the one before. */
  apply: (next: Config, before: Config) => Promise<void>;
  onReloaded: (changed: string[]) => void;
}

/** The configuration in force, and the way to another one. Reloads are carried out one after another. */
export class Reloader {
  readonly #options: ReloaderOptions;
  #current: Config;
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#current = options.initial;
  }

  get current(): Config {
    return this.#current;
  }

  /**
   * Reads the configuration again and puts what changed into force. A bad file changes nothing: INVALID_CONFIG with all
   * its errors. Resolves to the sections that changed.
   */
  reload(): Promise<{ changed: string[] }> {
    const next = this.#reloading.then(() => this.#reload());
    this.#reloading = next.catch(() => undefined);
    return next;
  }

  async #reload(): Promise<{ changed: string[] }> {
    const { log, apply, onReloaded } = this.#options;
    const { config, warnings } = this.#read();
    const before = this.#current;
    const changed = changedSections(before, config);
    // Who asks from now on, asks for the new one.
    this.#current = config;
    await apply(config, before);
    for (const warning of warnings) log.warn({}, warning);
    log.info({ changed }, 'configuration reloaded');
    onReloaded(changed);
    return { changed };
  }

  #read(): LoadedConfig {
    const { configFile, log, health } = this.#options;
    try {
      const loaded = loadConfig(configFile, { writeDefault: false });
      health.clear('config_refused');
      return loaded;
    } catch (error) {
      log.error(
        { file: configFile, reason: messageOf(error) },
        'configuration refused, the old one stays in force',
      );
      health.raise(
        'config_refused',
        `The configuration in force is older than ${configFile}: ${messageOf(error)}`,
      );
      throw error;
    }
  }
}
