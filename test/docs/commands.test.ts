import { describe, expect, test } from 'vitest';
import { CommanderError } from '#aiwgd/cli/commander.js';
import { buildProgram } from '#aiwgd/cli/program.js';
import { ALL_BRANCHES } from '#aiwgd/cli/tree/all-branches.js';
import { walkProgram } from '#aiwgd/cli/walk-program.js';
import { allPages, inlineCode } from './markdown.js';
import { shellCommands } from './shell-words.js';

const SHELLS = new Set(['sh', 'bash', 'console', 'dockerfile', 'ini']);
/** What a mention of a command in a sentence may leave out, as `aiwgd task cancel`. */
const ALLOWED_IN_PROSE = new Set(['commander.missingArgument', 'commander.help']);

/** The code of the error with which the real command tree refuses these words; undefined where it takes them. */
async function refusal(words: string[]): Promise<string | undefined> {
  const program = buildProgram(ALL_BRANCHES, async () => {});
  const silent = { writeOut: () => {}, writeErr: () => {}, outputError: () => {} };
  program.configureOutput(silent);
  for (const { command } of walkProgram(program)) command.exitOverride().configureOutput(silent);
  try {
    await program.parseAsync(words, { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? undefined : error.code;
  }
}

interface Mention {
  place: string;
  words: string[];
  inProse: boolean;
}

function callsIn(text: string): string[][] {
  return shellCommands(text).flatMap((words) => {
    const launcher = words[0] === 'node' && words[1] === 'tools/daemon/index.mjs';
    if (launcher) return [words.slice(2)];
    const at = words[0] === '/usr/bin/env' || words[0]?.includes('=') ? 1 : 0;
    return words[at] === 'aiwgd' ? [words.slice(at + 1)] : [];
  });
}

/** Each call of the program on the pages that people wrote. */
function mentions(): Mention[] {
  return allPages()
    .filter(({ path }) => !path.startsWith('docs/reference/'))
    .flatMap((page) => [
      ...page.blocks
        .filter(({ language }) => SHELLS.has(language))
        .flatMap(({ text, line }) =>
          callsIn(text).map((words) => ({ place: `${page.path}:${line}`, words, inProse: false })),
        ),
      ...inlineCode(page)
        .filter(({ code }) => /\baiwgd /.test(code))
        .flatMap(({ code, line }) =>
          callsIn(code).map((words) => ({ place: `${page.path}:${line}`, words, inProse: true })),
        ),
    ]);
}

describe('commands that the pages name', () => {
  test('are all known to the program, with their options', async () => {
    const found = mentions();
    expect(found.length).toBeGreaterThan(100);
    const wrong: string[] = [];
    for (const { place, words, inProse } of found) {
      const code = await refusal(words);
      if (code === undefined || (inProse && ALLOWED_IN_PROSE.has(code))) continue;
      wrong.push(`${place}: aiwgd ${words.join(' ')}: ${code}`);
    }
    expect(wrong).toEqual([]);
  });

  test('would be refused with a wrong name, option or value', async () => {
    expect(await refusal(['tusk', 'list'])).toBe('commander.unknownCommand');
    expect(await refusal(['stop', '--gently'])).toBe('commander.unknownOption');
    expect(await refusal(['task', 'submit', '--priority', 'high', 'x'])).toBe('commander.invalidArgument');
  });

  test('are told from the words around them', () => {
    expect(callsIn('if aiwgd ping > /dev/null 2>&1 || aiwgd start; then # aiwgd nothing')).toEqual([
      ['ping'],
      ['start'],
    ]);
    expect(callsIn('id=$(aiwgd task submit "a | b" \'c\')\necho x | aiwgd task get -')).toEqual([
      ['task', 'submit', 'a | b', 'c'],
      ['task', 'get', '-'],
    ]);
  });
});
