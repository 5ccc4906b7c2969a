import { defineConfig } from 'vitest/config';

/** Where CI wants the counts as JSON, beside what a person sees. */
const report = process.env['AIWGD_TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // They need a real agent program: npm run test:agents.
    exclude: ['test/agents-real/**'],
    // Real processes and disks on a busy two-core machine: a limit against hanging, not a measure of speed.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // More than there are cores: most of the time a test waits for processes of its own.
    maxWorkers: 3,
    ...(report ? { reporters: ['default', ['json', { outputFile: report }]] } : {}),
  },
});
