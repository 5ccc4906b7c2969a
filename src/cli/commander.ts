import { createRequire } from 'node:module';
import type * as Commander from 'commander';

/**
 * commander, loaded the quick way: through `import` Node first searches its 120 KB for exports, which takes a tenth of
 * the time of a short command. A command line library is loaded by every command, so this is worth one odd file.
 */
const commander = createRequire(import.meta.url)('commander') as typeof Commander;

export const { Argument, Command, CommanderError, InvalidArgumentError, Option } = commander;
export type { Command as CommandNode, Option as CommandOption } from 'commander';
