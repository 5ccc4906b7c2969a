import { expect, it } from 'vitest';
import { daemonFor, FakeModels, type RealAgent, realAgentSuite, writeBelow } from './other-agents.js';

const opencode: RealAgent = {
  provider: 'opencode',
  permission: ['--auto'],
  setUp: (home, apiUrl) => {
    const model = { name: 'fake', tool_call: true, cost: { input: 1, output: 2 } };
    writeBelow(home, '.config/opencode/opencode.json', {
      model: 'fake/fake-model',
      small_model: 'fake/fake-model',
      provider: {
        fake: {
          npm: '@ai-sdk/openai-compatible',
          options: { baseURL: `${apiUrl}/v1`, apiKey: 'dummy' },
          models: { 'fake-model': { ...model, limit: { context: 100_000, output: 10_000 } } },
        },
      },
    });
    return { OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_LSP_DOWNLOAD: '1' };
  },
  refusal: /refused the key \(401\).*opencode auth login/,
};

realAgentSuite(opencode);

it('the real opencode tells what a task has cost', async () => {
  await using api = await FakeModels.start(['ok:Done.']);
  const project = await daemonFor(opencode, api);
  await project.ok(['task', 'submit', '--wait', 'hello']);
  const { costUsd } = await project.json<{ costUsd: number }>(['task', 'get', 'task-0001']);
  // 100 tokens of input at 1 USD a million, 10 of output at 2.
  expect(costUsd).toBeCloseTo(0.000_12, 9);
});
