import { systemClock } from '../platform/clock.js';
import type { CliOptions } from './cli-options.js';
import { CommanderError } from './commander.js';
import type { CommandModule } from './context.js';
import { type Interrupts, watchInterrupts } from './interrupts.js';
import { openOutput } from './output/output.js';
import { buildProgram } from './program.js';
import { branchesFor } from './tree/branches-for.js';

/** Exit code of a command line that is wrong. */
const USAGE_EXIT = 2;

async function invoke(
  load: () => Promise<CommandModule>,
  args: readonly string[],
  options: CliOptions,
): Promise<number> {
  const output = openOutput(options);
  let interrupts: Interrupts | undefined;
  try {
    const command = await load();
    // A daemon in the foreground installs its own handlers: it is pid 1 of a container, where each signal counts.
    interrupts = options.foreground ? undefined : watchInterrupts();
    const code = await command.run({
      args,
      options,
      output,
      clock: systemClock,
      onInterrupt: (cleanup) => interrupts?.add(cleanup),
    });
    await interrupts?.settled();
    return code ?? 0;
  } catch (error) {
    // While an interrupt is cleaning up, what breaks is its doing: its exit code counts, not the error.
    await interrupts?.settled();
    const { reportFailure } = await import('./failure.js');
    return reportFailure(error, output);
  }
}

/** Carries out one command line (without `node` and the script) and returns its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const asked = argv[0] === '--version' || argv[0] === '-V' ? ['version', ...argv.slice(1)] : [...argv];
  let exitCode = 0;
  const program = buildProgram(await branchesFor(asked[0]), async (load, args, options) => {
    exitCode = await invoke(load, args, options);
  });
  if (asked.length === 0) {
    openOutput({}).write(program.helpInformation());
    return 0;
  }
  try {
    await program.parseAsync(asked, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (asked.includes('--json')) {
      const message = error.message.replace(/^error: /, '');
      openOutput({ json: true }).document({ error: { code: 'USAGE', message } });
    }
    return USAGE_EXIT;
  }
  return exitCode;
}
