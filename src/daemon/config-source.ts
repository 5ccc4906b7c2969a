import { lstatSync } from 'node:fs';
import { writeFileAtomic } from '../platform/atomic-file.js';
import type { Config } from '../protocol/config/config-schema.js';
import { defaultConfigText } from '../protocol/config/default-config.js';
import { formatProblems } from '../protocol/config/problems.js';
import { invalidConfig, parseConfig, readConfigFile } from '../protocol/config/read-config.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';

export interface LoadedConfig {
  config: Config;
  warnings: string[];
}

/**
 * The configuration of a daemon that only ends what another one left running: it takes nothing from the queue, and an
 * error in the file does not keep it from its work.
 */
export function loadToEndAgents(file: string): LoadedConfig {
  let loaded: LoadedConfig;
  try {
    loaded = loadConfig(file, { writeDefault: false });
  } catch (error) {
    const defaults = parseConfig('{}', file);
    if (!defaults.ok) throw error;
    loaded = { config: defaults.config, warnings: [messageOf(error)] };
  }
  const { config, warnings } = loaded;
  return { config: { ...config, daemon: { ...config.daemon, max_parallel_actions: 0 } }, warnings };
}

/**
 * Reads and validates the configuration. A missing file is written with the defaults where `writeDefault` is set.
 * Throws INVALID_CONFIG with all errors at once, each with its place and remedy.
 */
export function loadConfig(file: string, { writeDefault }: { writeDefault: boolean }): LoadedConfig {
  // A link that leads nowhere is somebody's file that is away just now: it is not replaced.
  if (writeDefault && lstatSync(file, { throwIfNoEntry: false }) === undefined) {
    try {
      writeFileAtomic(file, defaultConfigText(), { mode: 0o644 });
    } catch (cause) {
      throw new AiwgdError(
        'START_FAILED',
        `Cannot write the default configuration ${file}: ${messageOf(cause)}`,
        {
          cause,
        },
      );
    }
  }
  const text = readConfigFile(file);
  if (text === undefined) throw new AiwgdError('INVALID_CONFIG', `There is no configuration file ${file}.`);
  const parsed = parseConfig(text, file);
  if (!parsed.ok) throw invalidConfig(file, parsed.problems);
  const warnings = parsed.warnings.map((warning) => formatProblems(file, [warning]));
  return { config: parsed.config, warnings };
}
