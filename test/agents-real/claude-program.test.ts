import { describe, expect, it } from 'vitest';
import { AgentFolder, FakeAnthropic, runClaude } from './support.js';

describe('claude -p with a plain file as stdin', () => {
  it('reads the prompt to its last byte and ends with a result', async () => {
    using folder = new AgentFolder();
    await using fake = await FakeAnthropic.start(['ok:All done.']);
    const prompt = `-p looks like a flag, "quotes", $(date)\nsecond line: ü\n${'x'.repeat(300_000)} END`;
    const run = await runClaude(folder, fake.url, prompt);
    expect(run.stderr).toBe('');
    expect(run.messages[0]).toMatchObject({ type: 'system', subtype: 'init' });
    expect(run.result).toMatchObject({ subtype: 'success', is_error: false, result: 'All done.' });
    expect(run.code).toBe(0);
    const asked = (await fake.requests()).find(({ behaviour }) => behaviour === 'ok:All done.');
    expect(asked?.auth).toBe('x-api-key');
    expect(JSON.stringify(asked?.lastUser)).toContain(JSON.stringify(prompt).slice(1, -1));
  });

  it('tells a refused key as an error in its result, not in the subtype', async () => {
    using folder = new AgentFolder();
    await using fake = await FakeAnthropic.start(['401!']);
    const run = await runClaude(folder, fake.url, 'hello');
    expect(run.result).toMatchObject({ subtype: 'success', is_error: true, api_error_status: 401 });
    expect(run.code).toBe(1);
  });
});
