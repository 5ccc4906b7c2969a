import { type CommandNode, type CommandOption, Option } from './commander.js';
import { buildProgram, examplesOf } from './program.js';
import { ALL_BRANCHES } from './tree/all-branches.js';
import { ownOptions, walkProgram } from './walk-program.js';

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

function optionTable(options: readonly CommandOption[]): string[] {
  if (options.length === 0) return [];
  const rows = options.map((option) => {
    const choices = option.argChoices === undefined ? '' : ` (one of ${option.argChoices.join(', ')})`;
    return `| \`${option.flags}\` | ${cell(option.description)}${choices} |`;
  });
  return ['', '| option | meaning |', '|---|---|', ...rows];
}

function usageOf(words: readonly string[], command: CommandNode): string {
  const args = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  const options = ownOptions(command).length === 0 ? [] : ['[options]'];
  return ['aiwgd', ...words, ...options, ...args].join(' ');
}

function section(words: readonly string[], command: CommandNode): string[] {
  const args = command.registeredArguments.map(
    (argument) => `- \`${argument.name()}\`: ${argument.description}`,
  );
  const examples = (examplesOf.get(command) ?? []).map(([line, meaning]) =>
    meaning === '' ? line : `${line}  # ${meaning}`,
  );
  return [
    `## ${words.join(' ')}`,
    '',
    `\`${usageOf(words, command)}\``,
    '',
    ...command.description().split('\n'),
    ...(args.length === 0 ? [] : ['', ...args]),
    ...optionTable(ownOptions(command)),
    ...(examples.length === 0 ? [] : ['', '```bash', ...examples, '```']),
    '',
  ];
}

/** The reference page of the command line, in Markdown, made from the command tree. */
export function cliReference(): string {
  const program = buildProgram(ALL_BRANCHES, async () => {});
  const everywhere = program.options.filter((option) => option.helpGroupHeading !== undefined);
  const help = new Option('-h, --help', 'show the help of the command');
  const lines = [
    '# Command line',
    '',
    'Commands work on the project of the current folder: the nearest folder upwards that holds `.aiwg/`. Results go to stdout, problems to stderr.',
    '',
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon is not running, 4 no such task or thing, 130 ended by Ctrl-C.',
    '',
    'Colours are used on a terminal only; `NO_COLOR` turns them off, `FORCE_COLOR` on. What `--json` prints is described in [json-output.md](../json-output.md).',
    '',
    'Options of every command, before or after its name:',
    ...optionTable([...everywhere, help]),
    '',
  ];
  for (const { words, command } of walkProgram(program)) {
    if (command.commands.length === 0) lines.push(...section(words, command));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
