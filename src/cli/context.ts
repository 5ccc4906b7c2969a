import type { Clock } from '../platform/clock.js';
import type { CliOptions } from './cli-options.js';
import type { Cleanup } from './interrupts.js';
import type { Output } from './output/output.js';

/** What a command gets. */
export interface Context {
  /** The words after the command's name that are no options. */
  args: readonly string[];
  options: CliOptions;
  output: Output;
  clock: Clock;
  /** Registers work for Ctrl-C or SIGTERM. */
  onInterrupt: (cleanup: Cleanup) => void;
}

/** What a file of `commands/` exports. */
export interface CommandModule {
  /** Carries the command out; resolves with its exit code, or with nothing for 0. Throws what went wrong. */
  run(context: Context): Promise<number | undefined>;
}
