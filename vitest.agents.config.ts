import { defineConfig } from 'vitest/config';

const report = process.env['AIWGD_TEST_REPORT'];

/** Tests that run real agent programs, against a fake of the model's API on loopback. */
export default defineConfig({
  test: {
    include: ['test/agents-real/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // Each agent takes 200 MB and half a second of a core to start.
    maxWorkers: 1,
    ...(report ? { reporters: ['default', ['json', { outputFile: report }]] } : {}),
  },
});
