import { closeSync, readdirSync, readSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AgentInput } from '#aiwgd/agents/agent-input.js';
import { LaunchRefused } from '#aiwgd/agents/launcher.js';
import { tempFolder } from '../support/temp.js';

describe('the FIFO of an attempt', () => {
  it('refuses what does not fit into it, and leaves nothing behind', () => {
    const folder = tempFolder();
    const open = readdirSync('/proc/self/fd').length;
    expect(() => AgentInput.make(folder, 'x'.repeat(2_000_000))).toThrow(
      /2000000 bytes, but only 1048576 fit/,
    );
    expect(readdirSync('/proc/self/fd')).toHaveLength(open);
  });

  it('never makes us wait: neither for a reader nor for room', () => {
    const folder = tempFolder();
    expect(AgentInput.reopen(folder), 'none there').toBeUndefined();
    const { input, forAgent } = AgentInput.make(folder, 'prompt\n');
    using again = AgentInput.reopen(folder)!;
    expect(again.say(`${'y'.repeat(5_000)}\n`), 'not behind what nobody has read').toBe(false);
    const bytes = Buffer.alloc(2_000_000);
    expect(bytes.toString('utf8', 0, readSync(forAgent, bytes))).toBe('prompt\n');
    expect(again.say(`${'y'.repeat(5_000)}\n`)).toBe(true);
    expect(readSync(forAgent, bytes)).toBe(5_001);
    let said = 0;
    while (again.say(`${'z'.repeat(1_000)}\n`)) said += 1;
    expect(said).toBeGreaterThan(900);
    expect(readSync(forAgent, bytes) % 1_001).toBe(0);
    input[Symbol.dispose]();
    closeSync(forAgent);
    expect(AgentInput.reopen(folder), 'nobody reads').toBeUndefined();
    expect(() => again.say('more\n')).toThrow(/EPIPE/);
    AgentInput.remove(folder);
    expect(readdirSync(folder)).toEqual([]);
    AgentInput.remove(folder);
  });

  it.runIf(process.platform === 'linux' && process.getuid?.() === 0)(
    'is refused for good where the file system has none, for that is no passing fault',
    () => {
      expect(() => AgentInput.make('/sys', 'prompt')).toThrow(LaunchRefused);
      expect(() => AgentInput.make('/sys', 'prompt')).toThrow(/EPERM: .*set its "approvals" to "off"/);
      expect(() => AgentInput.make('/nowhere', 'prompt')).toThrow(/^ENOENT: no FIFO can be made/);
    },
  );
});
