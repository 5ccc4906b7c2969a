import { type CommandNode, type CommandOption } from './commander.js';

/** Every command of a tree with the words that call it, in the order of the help; groups come before their members. */
export function* walkProgram(
  command: CommandNode,
  words: readonly string[] = [],
): Generator<{ words: readonly string[]; command: CommandNode }> {
  for (const child of command.commands) {
    const path = [...words, child.name()];
    yield { words: path, command: child };
    yield* walkProgram(child, path);
  }
}

/** Options that not every command has. */
export function ownOptions(command: CommandNode): CommandOption[] {
  return command.options.filter((option) => option.helpGroupHeading === undefined);
}
