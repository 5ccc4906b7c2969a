import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNotes } from '#aiwgd/agents/runner.js';

const stat = (pid: number, name: string, start: number): string =>
  `${pid} (${name}) S 1 ${pid} ${pid} 0 -1 4194304 20 0 0 0 0 0 0 0 20 0 1 0 ${start} 2654208 133 0`;

describe('the notes of a runner', () => {
  it('name the runner, the agent and the exit', () => {
    const text = `runner ${stat(10, 'sh', 5000)}\nagent ${stat(11, 'odd) (name', 5001)}\nexit 143\n   `;
    expect(parseNotes(text)).toEqual({
      runner: { pid: 10, startTime: '5000' },
      agent: { pid: 11, startTime: '5001' },
      exitCode: 143,
    });
  });

  it('are the same where ps told the start', () => {
    const { agent } = parseNotes('agent 11  Sun Nov  1 10:00:00 2026\n');
    expect(agent).toEqual({ pid: 11, startTime: 'Sun Nov 1 10:00:00 2026' });
  });

  it('are believed only where a line is whole, whatever the shell says beside', () => {
    const text = `runner ${stat(10, 'sh', 5000)}\nsh: 1: Killed\nTerminated\nexit 0 or so\nexit 12`;
    expect(parseNotes(text)).toMatchObject({ agent: undefined, exitCode: undefined });
    fc.assert(fc.property(fc.string(), (noise) => parseNotes(noise) !== undefined));
  });
});
