import { type CommandNode } from './commander.js';
import { buildProgram } from './program.js';
import { ALL_BRANCHES } from './tree/all-branches.js';
import { walkProgram } from './walk-program.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function isShell(name: string): name is Shell {
  return (SHELLS as readonly string[]).includes(name);
}

interface Candidate {
  word: string;
  meaning: string;
}

/** What may follow the words of a command: its members and its options. */
interface Place {
  words: readonly string[];
  /** A command that takes arguments, not a group of commands. */
  leaf: boolean;
  candidates: Candidate[];
}

function placeOf(words: readonly string[], command: CommandNode): Place {
  const members = command.commands.map((member) => ({
    word: member.name(),
    meaning: member.summary() || member.description(),
  }));
  const options = command.options.flatMap((option) =>
    option.long == null ? [] : [{ word: option.long, meaning: option.description }],
  );
  return {
    words,
    leaf: members.length === 0,
    candidates: [...members, ...options, { word: '--help', meaning: 'show the help' }],
  };
}

function places(): Place[] {
  const program = buildProgram(ALL_BRANCHES, async () => {});
  const below = [...walkProgram(program)].map(({ words, command }) => placeOf(words, command));
  return [placeOf([], program), ...below];
}

/** In single quotes, for every of the three shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}

function wordsFunction(name: string): string {
  const cases = places().map(
    ({ words, candidates }) =>
      `    ${quoted(words.join(' '))}) echo ${quoted(candidates.map(({ word }) => word).join(' '))} ;;`,
  );
  return `${name}() {\n  case "$1" in\n${cases.join('\n')}\n  esac\n}\n`;
}

/** The words before the cursor that name a command: options and what cannot be a command's name are passed over. */
const COMMAND_WORDS = `  local place="" word
  for word in "\${before[@]}"; do
    [[ -n "$(_aiwgd_words "\${place:+$place }$word")" ]] && place="\${place:+$place }$word"
  done
`;

function bashScript(): string {
  return `# aiwgd completion for bash. In ~/.bashrc: source <(aiwgd completion bash)
${wordsFunction('_aiwgd_words')}
_aiwgd() {
  local before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${COMMAND_WORDS}  COMPREPLY=($(compgen -W "$(_aiwgd_words "$place")" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _aiwgd aiwgd
`;
}

function zshScript(): string {
  return `#compdef aiwgd
# aiwgd completion for zsh. In ~/.zshrc, after compinit: source <(aiwgd completion zsh)
${wordsFunction('_aiwgd_words')}
_aiwgd() {
  local before=("\${(@)words[2,CURRENT-1]}")
${COMMAND_WORDS}  compadd -- \${(z)"$(_aiwgd_words "$place")"} || _files
}
compdef _aiwgd aiwgd
`;
}

function fishScript(): string {
  const lines = places().flatMap(({ words, leaf, candidates }) => {
    const condition = quoted(`${leaf ? '__aiwgd_in' : '__aiwgd_at'} ${words.join(' ')}`.trim());
    return candidates.map(({ word, meaning }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c aiwgd -n ${condition} ${what} -d ${quoted(meaning)}`;
    });
  });
  return `# aiwgd completion for fish.
# In a terminal: aiwgd completion fish > ~/.config/fish/completions/aiwgd.fish
function __aiwgd_named
  set -l words (commandline -opc)
  string match -v -- '-*' $words[2..-1]
end
function __aiwgd_at
  set -l named (__aiwgd_named)
  test "$named" = "$argv"
end
function __aiwgd_in
  set -l named (__aiwgd_named)
  string match -q -- "$argv*" "$named"
end
complete -c aiwgd -f
${lines.join('\n')}
`;
}

/** A script that completes commands and options, made from the command tree. */
export function completionScript(shell: Shell): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell]();
}
