import { resolve } from 'node:path';
import type { Config } from '../protocol/config/config-schema.js';
import type { ConfigProblem } from '../protocol/config/problems.js';
import { invalidConfig, parseConfig, readConfigFile } from '../protocol/config/read-config.js';
import { AiwgdError } from '../protocol/errors.js';
import type { Context } from './context.js';
import { projectToBe } from './project.js';

export interface ProjectConfig {
  file: string;
  /** False where there is no file yet, and the defaults apply. */
  exists: boolean;
  config: Config;
  warnings: ConfigProblem[];
}

/** The configuration that a command's argument names, else the project's. Throws INVALID_CONFIG with all its errors. */
export function readProjectConfig({ args, options }: Pick<Context, 'args' | 'options'>): ProjectConfig {
  const named = args[0];
  const file = named === undefined ? projectToBe(options).config : resolve(named);
  const text = readConfigFile(file);
  if (text === undefined && named !== undefined) {
    throw new AiwgdError('INVALID_CONFIG', `There is no file ${file}.`);
  }
  const parsed = parseConfig(text ?? '{}', file);
  if (!parsed.ok) throw invalidConfig(file, parsed.problems);
  return { file, exists: text !== undefined, config: parsed.config, warnings: parsed.warnings };
}
