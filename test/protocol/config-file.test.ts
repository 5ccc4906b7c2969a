import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readConfigFile } from '#aiwgd/protocol/config/read-config.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aiwgd-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function refusal(path: string): unknown {
  try {
    readConfigFile(path);
  } catch (error) {
    return error;
  }
  throw new Error('was read');
}

it('gives the text, or undefined where there is no file', () => {
  const path = join(folder, 'daemon.json');
  expect(readConfigFile(path)).toBeUndefined();
  writeFileSync(path, '{"ä": 1}');
  expect(readConfigFile(path)).toBe('{"ä": 1}');
});

it('names the file and the remedy when it cannot be read', () => {
  const directory = join(folder, 'directory.json');
  mkdirSync(directory);
  expect(refusal(directory)).toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining(directory),
  });
  const large = join(folder, 'large.json');
  writeFileSync(large, '');
  truncateSync(large, 6 * 1024 * 1024);
  expect(refusal(large)).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining('5 MiB') });
  expect(refusal(join(large, 'daemon.json'))).toMatchObject({
    message: expect.stringContaining('not a folder'),
  });
  const loop = join(folder, 'loop.json');
  symlinkSync(loop, loop);
  expect(refusal(loop)).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining('circle') });
});

it.skipIf(process.getuid?.() === 0)(
  'says so when the permissions are wrong (root may read everything)',
  () => {
    const path = join(folder, 'locked.json');
    writeFileSync(path, '{}');
    chmodSync(path, 0);
    expect(refusal(path)).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining('chmod'),
    });
  },
);
