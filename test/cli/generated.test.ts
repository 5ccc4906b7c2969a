import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { completionScript } from '#aiwgd/cli/completion.js';
import { cliReference } from '#aiwgd/cli/reference.js';

/** What bash offers for the last of these words. */
function complete(...words: string[]): string[] {
  const script = `${completionScript('bash')}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _aiwgd; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
}

describe('what is made from the command tree', () => {
  it('the reference names each command, option and example', () => {
    const page = cliReference();
    for (const text of [
      '## start',
      '## task submit',
      '`--priority <n>`',
      '## events dead drop',
      'aiwgd logs --follow',
    ]) {
      expect(page).toContain(text);
    }
    expect(cliReference()).toBe(page);
  });

  it('the bash completion completes commands and options', () => {
    expect(complete('aiwgd', 'sta')).toEqual(['start', 'status']);
    expect(complete('aiwgd', 'task', 'su')).toEqual(['submit']);
    expect(complete('aiwgd', 'task', 'submit', 'fix', '--pri')).toEqual(['--priority']);
    expect(complete('aiwgd', 'events', 'dead', '')).toEqual(
      expect.arrayContaining(['list', 'retry', 'drop']),
    );
  });

  it('the other scripts have every command', () => {
    for (const shell of ['zsh', 'fish'] as const) expect(completionScript(shell)).toContain('submit');
  });
});
