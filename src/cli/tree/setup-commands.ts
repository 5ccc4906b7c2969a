import { Option } from '../commander.js';
import type { Branch } from './leaf.js';

const fileArgument = ['[file]', 'the file (default: .aiwg/daemon.json of the project)'] as const;

/** Configuration, and what helps to get going. */
export const branch: Branch = (program, add, addGroup) => {
  const config = addGroup(program, 'config', 'Check and show the configuration');
  add(config, {
    name: 'validate',
    summary: 'Check the configuration and print all its errors',
    details: 'Needs no daemon.',
    args: [fileArgument],
    examples: [
      ['aiwgd config validate', ''],
      ['aiwgd config validate other.json', ''],
    ],
    load: () => import('../commands/config-validate.js'),
  });
  add(config, {
    name: 'show',
    summary: 'Print the configuration in force, defaults included',
    args: [fileArgument],
    examples: [['aiwgd config show', '']],
    load: () => import('../commands/config-show.js'),
  });
  add(config, {
    name: 'schema',
    summary: 'Print the JSON Schema of the configuration',
    examples: [['aiwgd config schema > daemon.schema.json', '']],
    load: () => import('../commands/config-schema.js'),
  });
  add(program, {
    name: 'demo',
    summary: 'See it at work: three tasks, a crash, and nothing lost',
    details:
      'Runs in a scratch project of its own with a small agent that comes with it. Needs no account and no network.',
    options: [new Option('--keep', 'keep the scratch project')],
    examples: [['aiwgd demo', '']],
    load: () => import('../commands/demo.js'),
  });
  add(program, {
    name: 'completion',
    summary: 'Print the completion script of a shell',
    args: [['<shell>', 'bash, zsh or fish']],
    examples: [
      ['source <(aiwgd completion bash)', 'in ~/.bashrc'],
      ['aiwgd completion fish > ~/.config/fish/completions/aiwgd.fish', ''],
    ],
    load: () => import('../commands/completion.js'),
  });
  add(program, {
    name: 'version',
    summary: 'Print the version',
    examples: [['aiwgd version', '']],
    load: () => import('../commands/version.js'),
  });
};
