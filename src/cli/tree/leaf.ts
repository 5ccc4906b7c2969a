import type { CliOptions } from '../cli-options.js';
import { type CommandNode, type CommandOption } from '../commander.js';
import type { CommandModule } from '../context.js';

/** Called for the command that was parsed; the module is only loaded when this asks for it. */
export type Invoke = (
  load: () => Promise<CommandModule>,
  args: readonly string[],
  options: CliOptions,
) => Promise<void>;

/** A command as the tree's files describe it. */
export interface Leaf {
  name: string;
  summary: string;
  /** More than the summary, for its help and the reference. */
  details?: string;
  args?: readonly (readonly [usage: string, meaning: string])[];
  options?: readonly CommandOption[];
  examples: readonly (readonly [command: string, meaning: string])[];
  load: () => Promise<CommandModule>;
}

/** Adds a command below `parent`. */
export type AddLeaf = (parent: CommandNode, leaf: Leaf) => void;

/** How a part of the tree grows: given the root, it adds its commands. */
export type Branch = (
  program: CommandNode,
  add: AddLeaf,
  addGroup: (parent: CommandNode, name: string, summary: string) => CommandNode,
) => void;
