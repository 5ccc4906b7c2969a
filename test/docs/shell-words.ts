/** The simple commands of a piece of shell text, each as its words; enough of a shell for examples, without expansions. */
export function shellCommands(text: string): string[][] {
  const commands: string[][] = [[]];
  let word: string | undefined;
  let quote = '';
  const endWord = (): void => {
    if (word !== undefined) commands.at(-1)?.push(word);
    word = undefined;
  };
  const endCommand = (): void => {
    endWord();
    commands.push([]);
  };
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (quote !== '') {
      if (character === quote) quote = '';
      else word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (character === '#' && word === undefined) {
      while (at + 1 < text.length && text.charAt(at + 1) !== '\n') at += 1;
    } else if (text.startsWith('$(', at)) {
      endCommand();
      at += 1;
    } else if ('|&;()\n'.includes(character)) {
      endCommand();
    } else if (/\s/.test(character)) {
      endWord();
    } else {
      word = (word ?? '') + character;
    }
  }
  endCommand();
  return commands.map(withoutRedirections).filter((words) => words.length > 0);
}

function withoutRedirections(words: string[]): string[] {
  const at = words.findIndex((word) => /^\d?[<>]/.test(word));
  const kept = at < 0 ? words : words.slice(0, at);
  return ['if', 'then', 'else', 'while', 'do', '!'].includes(kept[0] ?? '') ? kept.slice(1) : kept;
}
