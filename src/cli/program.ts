import type { CliOptions } from './cli-options.js';
import { Argument, Command, type CommandNode, Option } from './commander.js';
import type { AddLeaf, Branch, Invoke, Leaf } from './tree/leaf.js';

/** The examples of a command, for its help and for the reference. */
export const examplesOf = new WeakMap<CommandNode, Leaf['examples']>();

const EVERYWHERE = 'Options of every command:';

function addGlobalOptions(command: CommandNode): CommandNode {
  return command
    .addOption(
      new Option('--project <dir>', 'work on this project, not on the nearest one upwards').helpGroup(
        EVERYWHERE,
      ),
    )
    .addOption(new Option('--json', 'print one JSON document (streams: JSON lines)').helpGroup(EVERYWHERE))
    .addOption(new Option('--no-color', 'print without colours').helpGroup(EVERYWHERE))
    .addHelpOption(new Option('-h, --help', 'show this help').helpGroup(EVERYWHERE));
}

/** The options given on the command line, before or after the command's name; the one nearest to the command counts. */
function givenOptions(command: CommandNode): CliOptions {
  const given: Record<string, unknown> = {};
  for (let at: CommandNode | null = command; at !== null; at = at.parent) {
    for (const [name, value] of Object.entries(at.opts())) {
      if (!(name in given) && at.getOptionValueSource(name) === 'cli') given[name] = value;
    }
  }
  return given;
}

/** The command line with these branches. Parsing it loads no command: `invoke` decides. */
export function buildProgram(branches: readonly Branch[], invoke: Invoke): CommandNode {
  const program = new Command('aiwgd')
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'aiwgd: ')),
    })
    .configureHelp({ subcommandTerm: nameWithArguments })
    .usage('<command> [options]')
    .description('A daemon, one per code repository, that keeps coding agents at work in the background.')
    .option('-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon is not running, 4 no such task or thing.',
    );
  addGlobalOptions(program);

  const addLeaf: AddLeaf = (parent, leaf) => {
    const command = parent.command(leaf.name).summary(leaf.summary);
    command.description(leaf.details === undefined ? leaf.summary : `${leaf.summary}\n\n${leaf.details}`);
    for (const [usage, meaning] of leaf.args ?? []) command.addArgument(new Argument(usage, meaning));
    for (const option of leaf.options ?? []) command.addOption(option);
    addGlobalOptions(command);
    examplesOf.set(command, leaf.examples);
    command.addHelpText('after', () => helpExamples(leaf.examples));
    command.action(() => invoke(leaf.load, command.args, givenOptions(command)));
  };

  for (const branch of branches) branch(program, addLeaf, addGroup);
  return program;
}

function addGroup(parent: CommandNode, name: string, summary: string): CommandNode {
  return addGlobalOptions(
    parent.command(name).description(summary).usage('<command> [options]').helpCommand(false),
  );
}

/** All commands have options: saying so on each line of a list only makes it longer. */
function nameWithArguments(command: CommandNode): string {
  const args = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...args].join(' ');
}

function helpExamples(examples: Leaf['examples']): string {
  const widest = Math.max(...examples.map(([command]) => command.length));
  const lines = examples.map(([command, meaning]) => `  ${command.padEnd(widest)}  ${meaning}`.trimEnd());
  return `\nExamples:\n${lines.join('\n')}`;
}
